# An event of WebSocket over HTTP, see docs/websockets.md: `TYPE`, or `TYPE size` and a content of
# so many bytes; the size is hexadecimal, and each line ends in CR LF.
SocketEvent = Struct.new(:type, :content) do
  def self.parse(body)
    rest = StringIO.new(body)
    events = []
    while (head = rest.gets("\r\n"))
      type, size = head.split
      events << new(type, size ? rest.read(size.hex) : "")
      rest.read(2) if size
    end
    events
  end

  def to_s
    content.to_s.empty? ? "#{type}\r\n" : format("%s %x\r\n%s\r\n", type, content.bytesize, content)
  end
end
