# A stream that Rails itself keeps: it passes through gripd as it is. Each client takes one of
# Puma's threads for as long as it stays; EventsController is the way without.
class ClocksController < ApplicationController
  include ActionController::Live

  def show
    response.headers["Content-Type"] = "text/event-stream"
    # Without it Rack::ETag of Rack 2 waits for the end of the stream, which never comes.
    response.headers["Last-Modified"] = Time.now.httpdate
    clock = SSE.new(response.stream, event: "time")
    loop do
      clock.write(Time.now.utc.iso8601)
      sleep 1
    end
  rescue ActionController::Live::ClientDisconnected
    logger.info "clock: the client has gone"
  ensure
    clock&.close
  end
end
