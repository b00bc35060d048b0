<?php // The application of the tests: answers who served the request.
$ends = microtime(true) + (int) ($_GET["ms"] ?? 0) / 1000;
while (microtime(true) < $ends) {
    usleep(10000); // Shorter than the wait: a signal ends a sleep.
}
$body = getenv("WEB_RELEASE") . " " . getmypid() . " " . posix_getppid() . "\n";
header("Content-Type: text/plain");
header("Content-Length: " . strlen($body));
echo $body;
