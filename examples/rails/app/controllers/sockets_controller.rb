# WebSockets: gripd speaks with the clients, and tells here what they say, in POSTs of events.
class SocketsController < ActionController::API
  TYPE = "application/websocket-events".freeze

  before_action { head :unsupported_media_type unless request.media_type == TYPE }

  def create
    answers = SocketEvent.parse(request.raw_post).flat_map { |event| answer(event) }
    render body: answers.join, content_type: TYPE
    response.charset = false # the type has no parameters
  end

  private

  def answer(event)
    case event.type
    when "OPEN" then open
    when "TEXT" then said(event.content)
    when "CLOSE" then [event]
    else []
    end
  end

  # From now on `m:` begins a message to the client, `c:` a word to gripd.
  def open
    response.headers["Sec-WebSocket-Extensions"] = "grip"
    subscribe = { type: "subscribe", channel: "lines" }
    [SocketEvent.new("OPEN"), SocketEvent.new("TEXT", "c:#{subscribe.to_json}")]
  end

  # The writer gets the line as all others do: by the channel.
  def said(text)
    Line.write(text)
    []
  end
end
