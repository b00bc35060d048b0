# The server of the tests: configured as `deploy/` does it, but for the application, which each worker loads: a phased restart
# replaces them one at a time.
deployed = ENV.fetch("DEPLOYED")
text = File.read(deployed).gsub("/puma.pid", "/unicorn.pid").gsub(/^preload_app!$/, "")
instance_eval(text, deployed)
