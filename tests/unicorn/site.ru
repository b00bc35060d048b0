# The application of a deployed site: answers who served the request; boots slowly, answers slowly or collects garbage when told.
release = File.read("release").strip
sleep(File.read("boot-seconds").to_f) if File.exist?("boot-seconds")

run lambda { |env|
  sleep(env["QUERY_STRING"].to_f) if env["PATH_INFO"] == "/slow"
  GC.start if env["PATH_INFO"] == "/gc"
  body = "#{release} #{Process.pid} #{Process.ppid}\n"
  [200, { "Content-Type" => "text/plain", "Content-Length" => body.bytesize.to_s }, [body]]
}
