# Unicorn, watched and restarted by Baton.
#
# Copy it to where `unicorn -c` looks, such as /srv/web/current/config/unicorn.rb. The WEB_* variables are for trying it out
# in another place; a deployed service needs none of them.

root = ENV.fetch("WEB_ROOT", "/srv/web/current")
run  = ENV.fetch("WEB_RUN", "/run/web")

# The symlink, not the release that it points to: a master started by USR2 goes where the link points by then.
working_directory root

listen ENV.fetch("WEB_LISTEN", "127.0.0.1:8080"), backlog: 1024
worker_processes Integer(ENV.fetch("WEB_WORKERS", "4"))
timeout 30

# Where hold and the agent look for the master. The lock lies beside it.
pid "#{run}/unicorn.pid"

# The application is loaded once, in the master, before the lock is taken: a release that raises while it boots never looks
# like a generation that serves.
preload_app true

before_exec do |_server|
  # Bundler has pinned the Gemfile of the release that was current when the old master started.
  ENV["BUNDLE_GEMFILE"] = "#{root}/Gemfile" if ENV.key?("BUNDLE_GEMFILE")
end

# The lock: shared, taken once by each master before its first worker, and held until the last of its processes is gone.
#
# - The file must stay reachable, so it is kept in a global. Ruby closes a File that only a local variable of the hook named,
#   as soon as its garbage collector runs, and closing is letting go: the server then serves without its lock.
# - `||=` because the hook runs before every fork, and a crashed worker is forked again.
# - LOCK_SH without LOCK_NB: the one who waits for this lock has it exclusively for a moment when it is free.
# - The random offset marks this one open file: the agent recognises it, and its proof rests on more than our word
#   (`Kept`, basis "marked"). Nobody reads or writes the file: an offset below 2^32 may come of that, and counts for nothing.
before_fork do |_server, _worker|
  $baton_lock ||= File.open("#{run}/unicorn.pid.lock", File::RDWR | File::CREAT, 0o640).tap do |lock|
    lock.flock(File::LOCK_SH)
    lock.sysseek(Random.new.rand((1 << 32)...(1 << 43)))
  end

  # Do not tell the old master to quit from here, as many examples do. The agent does that, once it has seen both masters
  # hold the lock and the new one answer.
end
