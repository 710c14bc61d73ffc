<?php
// Runs before every script: `auto_prepend_file = /etc/portal/prepend.php` in php.ini, or `php_admin_value` at the server.
// REMOTE_USER is the subject; the claims are in $_SERVER['AUTHPROXY_CLAIMS'].
declare(strict_types=1);
require_once __DIR__ . '/AssertionCheck.php';

(static function () {
    try {
        $claims = (new AssertionCheck(require __DIR__ . '/settings.php'))->person($_SERVER);
    } catch (AssertionRefused $refused) {
        error_log('refused: ' . $refused->getMessage());
        http_response_code(403);
        exit("Forbidden\n");
    }
    $_SERVER['REMOTE_USER'] = $claims->sub;
    $_SERVER['AUTHPROXY_CLAIMS'] = $claims;
})();
