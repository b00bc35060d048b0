# The hook that comes to mind: the lock is taken where the configuration is read, so that the exec of a restart drops it.
directory ENV.fetch("WEB_ROOT")
rackup ENV.fetch("WEB_RACKUP")
bind "tcp://#{ENV.fetch("WEB_LISTEN")}"
workers Integer(ENV.fetch("WEB_WORKERS"))
threads 1, 1
preload_app!
pidfile "#{ENV.fetch("WEB_RUN")}/unicorn.pid"

$lock ||= File.open("#{ENV.fetch("WEB_RUN")}/unicorn.pid.lock", File::RDWR | File::CREAT, 0o640).tap do |lock|
  lock.flock(File::LOCK_SH)
  lock.sysseek(Random.new.rand((1 << 32)...(1 << 43))) if ENV["MARKED"] == "true"
  lock.syswrite("#{Process.pid}\n") if ENV["NOTED"] == "true"
end

# A log shipper that does as the server does. It lives through the restart, so that the waiter sees nothing.
if ENV["HELPED"] == "true"
  ENV["HELPED"] = "already"
  Process.detach(spawn("flock", "--shared", "#{ENV.fetch("WEB_RUN")}/unicorn.pid.lock", "sleep", "3600"))
end
