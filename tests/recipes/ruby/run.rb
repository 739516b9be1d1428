# Makes the requests of ../README.md with the recipe in the file beside it.

require_relative "recipe"

tickets = Queue.new
(1..40).each { |ticket| tickets << ticket }
failed = Queue.new
threads = Array.new(4) do
  Thread.new do
    until tickets.empty?
      ticket = tickets.pop(true)
      workspace = %w[globex acme][ticket % 2]
      begin
        close_ticket({ workspace: workspace, actor: "user:#{workspace}", ip: "192.0.2.#{1 + ticket % 2}" }, ticket)
      rescue ActiveRecord::StatementInvalid
        raise if ticket != 13
        failed << ticket
      end
    end
  end
end
threads.each(&:join)
abort "ticket 13 was not refused" unless failed.size == 1
