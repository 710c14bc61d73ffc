<?php
declare(strict_types=1);
error_reporting(E_ALL);
set_error_handler(function (int $kind, string $what) {
    if (error_reporting() & $kind) {
        fwrite(STDERR, "$what\n");
        exit(1);
    }
    return true;
});
list(, $kit, $issuer, $audience, $origin, $jwks, $folder) = $argv;
require $kit;

$now = 0;
$checks = [];
foreach ([false, true] as $bound) {
    $settings = compact('issuer', 'audience', 'origin', 'jwks', 'bound') + ['cache' => "$folder/keys-" . (int) $bound];
    $checks[] = new AssertionCheck($settings, function () {
        return $GLOBALS['now'];
    });
}
while (($line = fgets(STDIN)) !== false) {
    list($at, $bound, $method, $path, $written) = explode("\t", rtrim($line, "\n"));
    $now = (int) $at;
    $server = ['REQUEST_METHOD' => $method, 'REQUEST_URI' => $path];
    if ($written !== '') {
        $server['HTTP_X_AUTH_ASSERTION'] = implode(', ', array_map('base64_decode', explode(',', $written)));
    }
    try {
        $claims = $checks[(int) $bound]->person($server);
        echo "ok\t{$claims->sub}\t", base64_encode($claims->name ?? ''), "\n";
    } catch (AssertionRefused $refused) {
        echo "no\t{$refused->getMessage()}\n";
    }
}
