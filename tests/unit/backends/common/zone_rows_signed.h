/* A small signed zone (the signatures are not real), and what it answers. */
static const char signed_text[] =
    "$TTL 300\n"
    "@ 3600 SOA ns1 admin 7 7200 900 1209600 60\n"
    "@ 3600 NS ns1\n"
    "@ 3600 NS ns.other.test.\n"
    "@ MX 10 www\n"
    "@ NSEC alias NS SOA MX RRSIG NSEC\n"
    "alias CNAME www\n"
    "alias NSEC a.b CNAME RRSIG NSEC\n"
    "a.b A 192.0.2.3\n"
    "a.b NSEC ns1 A RRSIG NSEC\n"
    "ns1 A 192.0.2.53\n"
    "ns1 NSEC secure A RRSIG NSEC\n"
    "secure NS ns.secure\n"
    "secure DS 1 8 2 ABCD\n"
    "secure NSEC sub NS DS RRSIG NSEC\n"
    "ns.secure A 192.0.2.54\n"
    "sub NS ns1\n"
    "sub NSEC tonope NS RRSIG NSEC\n"
    "towild CNAME q.w\n"
    "towild NSEC *.w CNAME RRSIG NSEC\n"
    "tonope CNAME nope\n"
    "tonope NSEC towild CNAME RRSIG NSEC\n"
    "*.w A 192.0.2.4\n"
    "*.w NSEC www A RRSIG NSEC\n"
    "www A 192.0.2.1\n"
    "www NSEC @ A RRSIG NSEC\n"
    "@ RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "@ RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "@ RRSIG MX 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "@ RRSIG NSEC 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "alias RRSIG CNAME 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "alias RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "a.b RRSIG A 8 4 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "a.b RRSIG NSEC 8 4 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "ns1 RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "ns1 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "secure RRSIG DS 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "secure RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "sub RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "towild RRSIG CNAME 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "towild RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "tonope RRSIG CNAME 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "tonope RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "*.w RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "*.w RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "www RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "www RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n";

static const struct row signed_rows[] = {
    {"example.org SOA",
     "NOERROR aa\n"
     "answer example.org. 3600 SOA ns1.example.org. admin.example.org. 7 7200 900 1209600 60\n"
     NS},
    {"example.org NS do",
     "NOERROR aa\n"
     "answer example.org. 3600 NS ns1.example.org.\n"
     "answer example.org. 3600 NS ns.other.test.\n"
     "answer example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "additional ns1.example.org. 300 A 192.0.2.53\n"
     "additional ns1.example.org. 300 RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"example.org MX do",
     "NOERROR aa\n"
     "answer example.org. 300 MX 10 www.example.org.\n"
     "answer example.org. 300 RRSIG MX 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS
     "authority example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "additional www.example.org. 300 A 192.0.2.1\n"
     "additional www.example.org. 300 RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"example.org A do",
     "NOERROR aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority example.org. 300 NSEC alias.example.org. NS SOA MX RRSIG NSEC\n"
     "authority example.org. 300 RRSIG NSEC 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"example.org RRSIG",
     "NOERROR aa\n"
     "answer example.org. 300 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "answer example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "answer example.org. 300 RRSIG MX 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "answer example.org. 300 RRSIG NSEC 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS},
    {"www.example.org A",
     "NOERROR aa\n"
     "answer www.example.org. 300 A 192.0.2.1\n"
     NS},
    {"www.example.org A do",
     "NOERROR aa\n"
     "answer www.example.org. 300 A 192.0.2.1\n"
     "answer www.example.org. 300 RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS
     "authority example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"www.example.org NSEC do",
     "NOERROR aa\n"
     "answer www.example.org. 300 NSEC example.org. A RRSIG NSEC\n"
     "answer www.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS
     "authority example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"www.example.org RRSIG do",
     "NOERROR aa\n"
     "answer www.example.org. 300 RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "answer www.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS
     "authority example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"www.example.org TXT",
     "NOERROR aa\n"
     SOA},
    {"www.example.org TXT do",
     "NOERROR aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority www.example.org. 300 NSEC example.org. A RRSIG NSEC\n"
     "authority www.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"b.example.org A do",
     "NOERROR aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority alias.example.org. 300 NSEC a.b.example.org. CNAME RRSIG NSEC\n"
     "authority alias.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"nope.example.org A",
     "NXDOMAIN aa\n"
     SOA},
    {"nope.example.org A do",
     "NXDOMAIN aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority a.b.example.org. 300 NSEC ns1.example.org. A RRSIG NSEC\n"
     "authority a.b.example.org. 300 RRSIG NSEC 8 4 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority example.org. 300 NSEC alias.example.org. NS SOA MX RRSIG NSEC\n"
     "authority example.org. 300 RRSIG NSEC 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"zzz.example.org A do",
     "NXDOMAIN aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority www.example.org. 300 NSEC example.org. A RRSIG NSEC\n"
     "authority www.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority example.org. 300 NSEC alias.example.org. NS SOA MX RRSIG NSEC\n"
     "authority example.org. 300 RRSIG NSEC 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"0.example.org A do",
     "NXDOMAIN aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority example.org. 300 NSEC alias.example.org. NS SOA MX RRSIG NSEC\n"
     "authority example.org. 300 RRSIG NSEC 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"x.a.b.example.org A do",
     "NXDOMAIN aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority a.b.example.org. 300 NSEC ns1.example.org. A RRSIG NSEC\n"
     "authority a.b.example.org. 300 RRSIG NSEC 8 4 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"q.w.example.org A do",
     "NOERROR aa\n"
     "answer q.w.example.org. 300 A 192.0.2.4\n"
     "answer q.w.example.org. 300 RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS
     "authority example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority *.w.example.org. 300 NSEC www.example.org. A RRSIG NSEC\n"
     "authority *.w.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"q.w.example.org TXT do",
     "NOERROR aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority *.w.example.org. 300 NSEC www.example.org. A RRSIG NSEC\n"
     "authority *.w.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"q.w.example.org TXT",
     "NOERROR aa\n"
     SOA},
    {"w.example.org A do",
     "NOERROR aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority towild.example.org. 300 NSEC *.w.example.org. CNAME RRSIG NSEC\n"
     "authority towild.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"alias.example.org A do",
     "NOERROR aa\n"
     "answer alias.example.org. 300 CNAME www.example.org.\n"
     "answer alias.example.org. 300 RRSIG CNAME 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "answer www.example.org. 300 A 192.0.2.1\n"
     "answer www.example.org. 300 RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS
     "authority example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"alias.example.org TXT do",
     "NOERROR aa\n"
     "answer alias.example.org. 300 CNAME www.example.org.\n"
     "answer alias.example.org. 300 RRSIG CNAME 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority www.example.org. 300 NSEC example.org. A RRSIG NSEC\n"
     "authority www.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"towild.example.org A do",
     "NOERROR aa\n"
     "answer towild.example.org. 300 CNAME q.w.example.org.\n"
     "answer towild.example.org. 300 RRSIG CNAME 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "answer q.w.example.org. 300 A 192.0.2.4\n"
     "answer q.w.example.org. 300 RRSIG A 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS
     "authority example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority *.w.example.org. 300 NSEC www.example.org. A RRSIG NSEC\n"
     "authority *.w.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"tonope.example.org A do",
     "NXDOMAIN aa\n"
     "answer tonope.example.org. 300 CNAME nope.example.org.\n"
     "answer tonope.example.org. 300 RRSIG CNAME 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority a.b.example.org. 300 NSEC ns1.example.org. A RRSIG NSEC\n"
     "authority a.b.example.org. 300 RRSIG NSEC 8 4 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority example.org. 300 NSEC alias.example.org. NS SOA MX RRSIG NSEC\n"
     "authority example.org. 300 RRSIG NSEC 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"tonope.example.org A",
     "NXDOMAIN aa\n"
     "answer tonope.example.org. 300 CNAME nope.example.org.\n"
     SOA},
    {"secure.example.org A do",
     "NOERROR\n"
     "authority secure.example.org. 300 NS ns.secure.example.org.\n"
     "authority secure.example.org. 300 DS 1 8 2 ABCD\n"
     "authority secure.example.org. 300 RRSIG DS 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "additional ns.secure.example.org. 300 A 192.0.2.54\n"},
    {"secure.example.org DS do",
     "NOERROR aa\n"
     "answer secure.example.org. 300 DS 1 8 2 ABCD\n"
     "answer secure.example.org. 300 RRSIG DS 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     NS
     "authority example.org. 300 RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"sub.example.org A do",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NSEC tonope.example.org. NS RRSIG NSEC\n"
     "authority sub.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"sub.example.org A",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"},
    {"sub.example.org DS do",
     "NOERROR aa\n"
     SOA
     "authority example.org. 60 RRSIG SOA 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
     "authority sub.example.org. 300 NSEC tonope.example.org. NS RRSIG NSEC\n"
     "authority sub.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
    {"x.sub.example.org A do",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NSEC tonope.example.org. NS RRSIG NSEC\n"
     "authority sub.example.org. 300 RRSIG NSEC 8 3 300 20300101000000 20250101000000 1 example.org. AAAA\n"},
};
