# The application of the tests: answers who served the request, and fails as the file `flaw` says.
release = File.read("release").strip
flaw = File.exist?("flaw") ? File.read("flaw").strip : ""

raise "told to raise at boot" if flaw == "raises-at-boot"
sleep if flaw == "hangs-at-boot"

run lambda { |env|
  sleep(env["QUERY_STRING"][/ms=(\d+)/, 1].to_i / 1000.0) if env["PATH_INFO"] == "/slow"
  # Held by whoever has the other end of the gate open.
  File.read("gate") if env["PATH_INFO"] == "/gate"
  status = env["PATH_INFO"] == "/up" && flaw == "never-ready" ? 503 : 200
  body = "#{release} #{Process.pid} #{Process.ppid}\n"
  [status, { "Content-Type" => "text/plain", "Content-Length" => body.bytesize.to_s, "X-Release" => release }, [body]]
}
