# The server of the tests: configured as `deploy/` does it; what differs between tests is in the environment.
deployed = ENV.fetch("DEPLOYED")
instance_eval(File.read(deployed), deployed)

preload_app ENV.fetch("PRELOAD") == "true"
timeout 60
stdout_path "#{ENV.fetch("WEB_RUN")}/server.log"
stderr_path "#{ENV.fetch("WEB_RUN")}/server.log"

flaw = File.exist?("flaw") ? File.read("flaw").strip : ""
raise "told to refuse the configuration" if flaw == "refused"

listen "#{ENV.fetch("WEB_RUN")}/web.sock" if File.exist?("listens-on-socket")

# Says that it is ready as sd_notify(3) does: the master before it has loaded anything, or each worker when it is there.
if File.exist?("notifies")
  who, socket = File.read("notifies").split
  notify = lambda { Socket.new(:UNIX, :DGRAM).tap { |it| it.connect(Addrinfo.unix(socket)) }.send("READY=1", 0) }
  who == "master" ? notify.call : after_fork { |_server, _worker| notify.call }
end

if flaw == "dies-after-boot"
  Thread.new do
    sleep 2
    exit!(1)
  end
end
