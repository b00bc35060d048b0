# Puma, watched and restarted by Baton (dialect "puma": SIGUSR2, at which the master calls exec and stays the same process).
#
# Start it as `puma -C /srv/web/current/config/puma.rb`: with an absolute path, because after SIGUSR2 a relative one is looked
# for in `directory`. The WEB_* variables are for trying it out in another place; a deployed service needs none of them.

root = ENV.fetch("WEB_ROOT", "/srv/web/current")
run  = ENV.fetch("WEB_RUN", "/run/web")

# The symlink, not the release that it points to: after SIGUSR2 the new program goes where the link points by then.
directory root
rackup ENV.fetch("WEB_RACKUP", "#{root}/config.ru")

bind "tcp://#{ENV.fetch("WEB_LISTEN", "127.0.0.1:8080")}"
workers Integer(ENV.fetch("WEB_WORKERS", "4"))
threads 1, Integer(ENV.fetch("WEB_THREADS", "5"))

# The application is loaded by the master. A release that raises while it boots ends Puma all the same: its old workers are gone by
# then. Try a release before it is deployed.
preload_app!

# Where hold and the agent look for the master. The lock lies beside it.
pidfile "#{run}/puma.pid"
lock_path = "#{run}/puma.pid.lock"

# The lock: shared, taken once, and carried over every exec until the last of the processes is gone.
#
# At SIGUSR2 Puma calls exec and has every descriptor closed but its listeners. A lock that is simply taken again by the new
# program is free for as long as Ruby takes to start (a fifth of a second and more), and no proof survives that. So the locked
# descriptor is named among those that exec leaves open, and its number is told to the new program.
#
# - The file must stay reachable, so it is kept in a global: Ruby closes a File that nothing names, and closing is letting go.
# - LOCK_SH without LOCK_NB: the one who waits for this lock has it exclusively for a moment when it is free.
# - The random offset marks this one open file. It is set once and lives through exec: the agent recognises by it that it was
#   one and the same lock before and after (`Kept`, basis "marked"). Nobody reads or writes the file: an offset below 2^32 may come of that, and counts for nothing.
# - Between two exec it is close-on-exec, so that no program which the application starts inherits it.
carried = ENV.delete("BATON_LOCK_DESCRIPTOR")
if carried && File.identical?("/proc/self/fd/#{carried}", lock_path)
  $baton_lock = File.for_fd(Integer(carried), File::RDWR)
  $baton_lock.close_on_exec = true
else
  $baton_lock ||= File.open(lock_path, File::RDWR | File::CREAT, 0o640).tap do |lock|
    lock.flock(File::LOCK_SH)
    lock.sysseek(Random.new.rand((1 << 32)...(1 << 43)))
  end
end

# `redirects_for_restart` is what Puma 5 and 6 give to exec as the descriptors to leave open. It is public and not documented: a
# Puma without it must not start, rather than drop its lock at the first restart.
unless Puma::Binder.method_defined?(:redirects_for_restart)
  raise "this Puma closes the lock when it restarts: Puma::Binder has no redirects_for_restart"
end

on_restart do |launcher|
  descriptor = $baton_lock.fileno
  ENV["BATON_LOCK_DESCRIPTOR"] = descriptor.to_s
  binder = launcher.binder
  listeners = binder.method(:redirects_for_restart)
  binder.define_singleton_method(:redirects_for_restart) { listeners.call.merge(descriptor => descriptor) }
end
