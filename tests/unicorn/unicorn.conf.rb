# The server of the tests. It runs in its own directory; what differs between tests is in the environment.
hook = ENV.fetch("LOCK_HOOK")
instance_eval(File.read(hook), hook)

listen ENV.fetch("LISTEN")
worker_processes 2
preload_app ENV.fetch("PRELOAD") == "true"
timeout 60
working_directory Dir.pwd
pid "#{Dir.pwd}/server.pid"
stdout_path "#{Dir.pwd}/server.log"
stderr_path "#{Dir.pwd}/server.log"

if File.exist?("flaw") && File.read("flaw").strip == "dies-after-boot"
  Thread.new do
    sleep 2
    exit!(1)
  end
end
