# Held streams take no thread: five serve any number of open pages.
threads 5, 5
port ENV.fetch("PORT", 3000), "127.0.0.1"
