Rails.application.routes.draw do
  root "lines#index"
  resources :lines, only: :create
  get "events", to: "events#index"
  post "socket", to: "sockets#create"
  get "clock", to: "clocks#show"
end
