"""The sandbox's certificate authority: a root and an issuing CA shaped like AC NLB's, people's certificates,
CRLs, OCSP."""
