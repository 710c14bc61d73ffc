<?php
return [
    'issuer' => 'https://acq.example.si',
    'audience' => 'acq',
    'origin' => 'https://acq.example.si',
    'jwks' => 'https://acq.example.si/.authproxy/jwks.json',
    'bound' => false,
    'cache' => '/var/lib/portal/gateway-keys.json', // the folder belongs to the portal's user, and to nobody else
];
