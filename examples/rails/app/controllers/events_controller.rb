# The stream of events that a page reads. Rails answers at once and is done; gripd keeps the
# client, and whatever is published to the channel `lines` follows.
class EventsController < ApplicationController
  def index
    lines = Line.after(seen)
    number = lines.last&.number || seen
    # With prev-id and next link nothing is lost: gripd notices a gap, and asks again from there.
    response.headers["Grip-Hold"] = "stream"
    response.headers["Grip-Channel"] = "lines; prev-id=#{number}"
    response.headers["Grip-Link"] = "<#{events_path(after: number)}>; rel=next"
    response.headers["Grip-Keep-Alive"] = ':\n\n; format=cstring; timeout=20'
    render body: lines.map(&:event).join, content_type: "text/event-stream"
  end

  private

  # The number of the last line that the client has: gripd tells it when it follows the link, a
  # browser when it comes back, and the page in its address.
  def seen
    last = request.headers["Grip-Last"].to_s[/last-id=(\d+)/, 1]
    number = last || request.headers["Last-Event-ID"] || params[:after]
    number.to_i.clamp(0, Line.count)
  end
end
