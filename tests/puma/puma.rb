# The server of the tests: configured as `deploy/` does it, with the pid file where all of our servers have theirs.
deployed = ENV.fetch("DEPLOYED")
text = File.read(deployed).gsub("/puma.pid", "/unicorn.pid")
instance_eval(text, deployed)
raise "told to refuse the configuration" if File.exist?("flaw") && File.read("flaw").strip == "refused"
