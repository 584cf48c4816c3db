require_relative "boot"

require "rails"
require "action_controller/railtie"

module Lines
  class Application < Rails::Application
    config.load_defaults 6.1
    config.eager_load = Rails.env.production?
    config.logger = ActiveSupport::Logger.new($stdout)

    # gripd passes the name on that clients use: Rails must know it, as without gripd.
    config.hosts.concat ENV.fetch("HOSTS", "").split(",") if Rails.env.development?
  end
end
