# What Smashing's app does with its stream, without the rest: each dashboard's connection is kept,
# and what is posted to a widget goes to all of them.
require "json"

dashboards = []
history = { "welcome" => %(data: {"text":"good morning","id":"welcome"}\n\n) }

stream = lambda do |_|
  news = Queue.new
  dashboards << news
  body = Enumerator.new do |out|
    out << history.values.join
    loop { out << news.pop }
  ensure
    dashboards.delete(news)
  end
  [200, { "content-type" => "text/event-stream", "x-accel-buffering" => "no" }, body]
end

widgets = lambda do |env|
  id = env["PATH_INFO"].delete_prefix("/")
  data = JSON.parse(env["rack.input"].read).except("auth_token").merge(id: id)
  history[id] = "data: #{data.to_json}\n\n"
  dashboards.each { |news| news << history[id] }
  [204, {}, []]
end

map("/events") { run stream }
map("/widgets") { run widgets }
map("/count") { run ->(_) { [200, {}, [dashboards.size.to_s]] } }
