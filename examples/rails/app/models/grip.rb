require "net/http"

# gripd's control port, named by GRIP_URL.
module Grip
  class Error < StandardError; end

  CONTROL = URI(ENV.fetch("GRIP_URL", "http://localhost:5561"))

  # Publishes one item to whoever listens to the channel, from any process.
  def self.publish(channel, item)
    body = { items: [{ channel: channel, **item }] }.to_json
    answer = Net::HTTP.post(URI.join(CONTROL, "/publish"), body)
    raise Error, answer.body unless answer.is_a?(Net::HTTPSuccess)
  rescue SystemCallError, SocketError, Timeout::Error, EOFError => error
    raise Error, "#{CONTROL}: #{error.message}"
  end
end
