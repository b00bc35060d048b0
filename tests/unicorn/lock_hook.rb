before_fork do |server, _worker|
  $generation_lock ||= File.open("#{server.config[:pid]}.lock", File::RDWR | File::CREAT, 0o640).tap do |file|
    file.flock(File::LOCK_SH)
    file.sysseek(Random.new.rand(1...(1 << 43)))
  end
end
