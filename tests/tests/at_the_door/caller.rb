# Shakes hands with an agent and waits for the first byte of HTTP/2.
host, port, version, certificate, key = ARGV
context = OpenSSL::SSL::SSLContext.new
context.verify_mode = OpenSSL::SSL::VERIFY_NONE
context.min_version = context.max_version = { '1.2' => OpenSSL::SSL::TLS1_2_VERSION, '1.3' => OpenSSL::SSL::TLS1_3_VERSION }.fetch(version)
context.alpn_protocols = ['h2']
context.add_certificate(OpenSSL::X509::Certificate.new(File.read(certificate)), OpenSSL::PKey.read(File.read(key))) if certificate
stream = OpenSSL::SSL::SSLSocket.new(TCPSocket.new(host, Integer(port)), context)
stream.connect
# In TLS 1.3 the client is through before the server has seen its certificate: only an answer shows that it was let in.
stream.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
stream.readpartial(1)
