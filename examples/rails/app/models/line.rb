# A line that somebody has written. Lines are numbered from 1 and kept in a file, which stands for
# your database here; any process may write one.
Line = Struct.new(:number, :text) do
  class << self
    def all
      texts = File.exist?(path) ? File.readlines(path, chomp: true) : []
      texts.map.with_index(1) { |text, number| new(number, text) }
    end

    def last(count) = all.last(count)

    def after(number) = all.drop(number)

    def count = all.size

    # Keeps it and tells it to all who listen.
    def write(text)
      text = text.dup.force_encoding("UTF-8").scrub.squish.truncate(200)
      line = File.open(path, "a+") do |file|
        file.flock(File::LOCK_EX)
        new(file.each_line.count + 1, text).tap { file.puts(text) }
      end
      line.publish
      line
    end

    private

    def path = ENV.fetch("LINES", Rails.root.join("tmp/lines.txt"))
  end

  # As a stream's event. Its id comes back from a browser that has been away.
  def event = "id: #{number}\ndata: #{text}\n\n"

  def publish
    Grip.publish("lines", id: number.to_s, "prev-id": (number - 1).to_s, formats: {
      "http-stream": { content: event },
      "ws-message": { content: text }
    })
  rescue Grip::Error => error
    # It is kept all the same: clients get it with the next one, or when they come back.
    Rails.logger.warn("line #{number} is not published: #{error.message}")
  end
end
