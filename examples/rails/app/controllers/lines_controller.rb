# The page, and its form.
class LinesController < ApplicationController
  def index
    @lines = Line.last(20)
  end

  def create
    Line.write(params.require(:text))
    head :no_content
  end
end
