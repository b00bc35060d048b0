# The server of the tests: configured as `deploy/` does it; what differs between tests is in the environment.
deployed = ENV.fetch("DEPLOYED")
instance_eval(File.read(deployed), deployed)

preload_app ENV.fetch("PRELOAD") == "true"
timeout 60
stdout_path "#{ENV.fetch("WEB_RUN")}/server.log"
stderr_path "#{ENV.fetch("WEB_RUN")}/server.log"

flaw = File.exist?("flaw") ? File.read("flaw").strip : ""
raise "told to refuse the configuration" if flaw == "refused"

if flaw == "dies-after-boot"
  Thread.new do
    sleep 2
    exit!(1)
  end
end
