/* What the zone `plain` of test_zone_answer.c answers. */
static const struct row plain_rows[] = {
    {"example.org SOA",
     "NOERROR aa\n"
     "answer example.org. 3600 SOA ns1.example.org. admin.example.org. 7 7200 900 1209600 60\n"
     NS},
    {"example.org NS",
     "NOERROR aa\n"
     "answer example.org. 3600 NS ns1.example.org.\n"
     "answer example.org. 3600 NS ns.other.test.\n"
     "additional ns1.example.org. 300 A 192.0.2.53\n"
     "additional ns1.example.org. 300 AAAA 2001:db8::53\n"},
    {"example.org A",
     "NOERROR aa\n"
     SOA},
    {"example.org MX",
     "NOERROR aa\n"
     "answer example.org. 300 MX 10 mail.example.org.\n"
     "answer example.org. 300 MX 20 mail.example.org.\n"
     "answer example.org. 300 MX 30 mx.other.test.\n"
     "answer example.org. 300 MX 40 nohost.example.org.\n"
     NS
     "additional mail.example.org. 300 A 192.0.2.25\n"},
    {"WWW.Example.ORG A",
     "NOERROR aa\n"
     "answer WWW.Example.ORG. 300 A 192.0.2.1\n"
     "answer WWW.Example.ORG. 300 A 192.0.2.2\n"
     "authority Example.ORG. 3600 NS ns1.example.org.\n"
     "authority Example.ORG. 3600 NS ns.other.test.\n"},
    {"www.example.org AAAA",
     "NOERROR aa\n"
     "answer www.example.org. 300 AAAA 2001:db8::1\n"
     NS},
    {"www.example.org TXT",
     "NOERROR aa\n"
     SOA},
    {"www.example.org ANY",
     "NOERROR aa\n"
     SOA},
    {"b.c.example.org A",
     "NOERROR aa\n"
     SOA},
    {"c.example.org A",
     "NOERROR aa\n"
     SOA},
    {"a.b.c.example.org A",
     "NOERROR aa\n"
     "answer a.b.c.example.org. 300 A 192.0.2.3\n"
     NS},
    {"nope.example.org A",
     "NXDOMAIN aa\n"
     SOA},
    {"x.www.example.org A",
     "NXDOMAIN aa\n"
     SOA},
    {"_x._tcp.example.org SRV",
     "NOERROR aa\n"
     "answer _x._tcp.example.org. 300 SRV 0 5 80 WWW.example.org.\n"
     NS
     "additional WWW.example.org. 300 A 192.0.2.1\n"
     "additional WWW.example.org. 300 A 192.0.2.2\n"
     "additional WWW.example.org. 300 AAAA 2001:db8::1\n"},
    {"_tcp.example.org SRV",
     "NOERROR aa\n"
     SOA},
    {"svc.example.org HTTPS",
     "NOERROR aa\n"
     "answer svc.example.org. 300 HTTPS 1 www.example.org. alpn=\"h2\"\n"
     NS
     "additional www.example.org. 300 A 192.0.2.1\n"
     "additional www.example.org. 300 A 192.0.2.2\n"
     "additional www.example.org. 300 AAAA 2001:db8::1\n"},
    {"alias.example.org A",
     "NOERROR aa\n"
     "answer alias.example.org. 300 CNAME www.example.org.\n"
     "answer www.example.org. 300 A 192.0.2.1\n"
     "answer www.example.org. 300 A 192.0.2.2\n"
     NS},
    {"alias.example.org CNAME",
     "NOERROR aa\n"
     "answer alias.example.org. 300 CNAME www.example.org.\n"
     NS},
    {"alias.example.org MX",
     "NOERROR aa\n"
     "answer alias.example.org. 300 CNAME www.example.org.\n"
     SOA},
    {"alias.example.org ANY",
     "NOERROR aa\n"
     "answer alias.example.org. 300 CNAME www.example.org.\n"
     SOA},
    {"alias2.example.org AAAA",
     "NOERROR aa\n"
     "answer alias2.example.org. 300 CNAME alias.example.org.\n"
     "answer alias.example.org. 300 CNAME www.example.org.\n"
     "answer www.example.org. 300 AAAA 2001:db8::1\n"
     NS},
    {"self.example.org A",
     "SERVFAIL\n"},
    {"self.example.org CNAME",
     "NOERROR aa\n"
     "answer self.example.org. 300 CNAME self.example.org.\n"
     NS},
    {"toself.example.org A",
     "SERVFAIL\n"},
    {"loop1.example.org A",
     "NOERROR aa\n"
     "answer loop1.example.org. 300 CNAME loop2.example.org.\n"
     "answer loop2.example.org. 300 CNAME loop1.example.org.\n"
     "answer loop1.example.org. 300 CNAME loop2.example.org.\n"
     "answer loop2.example.org. 300 CNAME loop1.example.org.\n"
     "answer loop1.example.org. 300 CNAME loop2.example.org.\n"
     "answer loop2.example.org. 300 CNAME loop1.example.org.\n"
     "answer loop1.example.org. 300 CNAME loop2.example.org.\n"
     "answer loop2.example.org. 300 CNAME loop1.example.org.\n"
     "answer loop1.example.org. 300 CNAME loop2.example.org.\n"
     "answer loop2.example.org. 300 CNAME loop1.example.org.\n"
     NS},
    {"dangling.example.org A",
     "NXDOMAIN aa\n"
     "answer dangling.example.org. 300 CNAME nope.example.org.\n"
     SOA},
    {"toent.example.org A",
     "NOERROR aa\n"
     "answer toent.example.org. 300 CNAME b.c.example.org.\n"
     SOA},
    {"towild.example.org A",
     "NOERROR aa\n"
     "answer towild.example.org. 300 CNAME x.wild.example.org.\n"
     "answer x.wild.example.org. 300 A 192.0.2.4\n"
     NS},
    {"out.example.org A",
     "NOERROR aa\n"
     "answer out.example.org. 300 CNAME host.other.test.\n"
     "answer host.other.test. 30 A 198.51.100.1\n"
     NS},
    {"late.example.org A",
     "NOERROR aa\n"
     "answer late.example.org. 300 CNAME late.other.test.\n"
     "answer late.other.test. 30 A 198.51.100.1\n"
     NS},
    {"nx.example.org A",
     "NXDOMAIN aa\n"
     "answer nx.example.org. 300 CNAME nx.other.test.\n"
     SOA},
    {"fail.example.org A",
     "SERVFAIL aa\n"
     "answer fail.example.org. 300 CNAME fail.other.test.\n"
     NS},
    {"refused.example.org A",
     "NOERROR aa\n"
     "answer refused.example.org. 300 CNAME refused.other.test.\n"
     NS},
    {"drop.example.org A",
     "NOERROR aa\n"
     "answer drop.example.org. 300 CNAME drop.other.test.\n"
     NS},
    {"nodata.example.org A",
     "NOERROR aa\n"
     "answer nodata.example.org. 300 CNAME nodata.other.test.\n"
     SOA},
    {"round.example.org A",
     "SERVFAIL aa\n"
     "answer round.example.org. 300 CNAME round.other.test.\n"
     "answer round.other.test. 30 CNAME round.example.org.\n"
     "answer round.example.org. 300 CNAME round.other.test.\n"
     "answer round.other.test. 30 CNAME round.example.org.\n"
     "answer round.example.org. 300 CNAME round.other.test.\n"
     "answer round.other.test. 30 CNAME round.example.org.\n"
     "answer round.example.org. 300 CNAME round.other.test.\n"
     "answer round.other.test. 30 CNAME round.example.org.\n"
     "answer round.example.org. 300 CNAME round.other.test.\n"
     NS},
    {"tosub.example.org A",
     "NOERROR aa\n"
     "answer tosub.example.org. 300 CNAME host.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"toglue.example.org A",
     "NOERROR aa\n"
     "answer toglue.example.org. 300 CNAME ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"srvalias.example.org SRV",
     "NOERROR aa\n"
     "answer srvalias.example.org. 300 CNAME _x._tcp.example.org.\n"
     "answer _x._tcp.example.org. 300 SRV 0 5 80 WWW.example.org.\n"
     NS
     "additional WWW.example.org. 300 A 192.0.2.1\n"
     "additional WWW.example.org. 300 A 192.0.2.2\n"
     "additional WWW.example.org. 300 AAAA 2001:db8::1\n"},
    {"srvout.example.org SRV",
     "NOERROR aa\n"
     "answer srvout.example.org. 300 CNAME srv.other.test.\n"
     "answer srv.other.test. 30 SRV 0 0 80 www.example.org.\n"
     NS
     "additional www.example.org. 300 A 192.0.2.1\n"
     "additional www.example.org. 300 A 192.0.2.2\n"
     "additional www.example.org. 300 AAAA 2001:db8::1\n"},
    {"q.wild.example.org A",
     "NOERROR aa\n"
     "answer q.wild.example.org. 300 A 192.0.2.4\n"
     NS},
    {"q.r.wild.example.org A",
     "NOERROR aa\n"
     "answer q.r.wild.example.org. 300 A 192.0.2.4\n"
     NS},
    {"q.wild.example.org MX",
     "NOERROR aa\n"
     "answer q.wild.example.org. 300 MX 10 www.example.org.\n"
     NS
     "additional www.example.org. 300 A 192.0.2.1\n"
     "additional www.example.org. 300 A 192.0.2.2\n"
     "additional www.example.org. 300 AAAA 2001:db8::1\n"},
    {"q.wild.example.org TXT",
     "NOERROR aa\n"
     SOA},
    {"*.wild.example.org A",
     "NOERROR aa\n"
     "answer *.wild.example.org. 300 A 192.0.2.4\n"
     NS},
    {"wild.example.org A",
     "NOERROR aa\n"
     SOA},
    {"ent.wild.example.org A",
     "NOERROR aa\n"
     SOA},
    {"q.ent.wild.example.org A",
     "NXDOMAIN aa\n"
     SOA},
    {"q.deep.ent.wild.example.org A",
     "NXDOMAIN aa\n"
     SOA},
    {"q.cwild.example.org A",
     "NOERROR aa\n"
     "answer q.cwild.example.org. 300 CNAME www.example.org.\n"
     "answer www.example.org. 300 A 192.0.2.1\n"
     "answer www.example.org. 300 A 192.0.2.2\n"
     NS},
    {"q.cwild.example.org CNAME",
     "NOERROR aa\n"
     "answer q.cwild.example.org. 300 CNAME www.example.org.\n"
     NS},
    {"q.below.example.org TXT",
     "NXDOMAIN aa\n"
     SOA},
    {"q.wild.below.example.org TXT",
     "NOERROR aa\n"
     "answer q.wild.below.example.org. 300 TXT \"x\"\n"
     NS},
    {"q.starent.example.org A",
     "NOERROR aa\n"
     SOA},
    {"*.starent.example.org A",
     "NOERROR aa\n"
     SOA},
    {"q.*.starent.example.org A",
     "NXDOMAIN aa\n"
     SOA},
    {"sub.example.org A",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"sub.example.org NS",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"sub.example.org DS",
     "NOERROR aa\n"
     "answer sub.example.org. 300 DS 1 8 2 ABCD\n"
     NS},
    {"sub.example.org SOA",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"ns.sub.example.org A",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"q.sub.example.org DS",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"x.ns.sub.example.org A",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"cut2.sub.example.org A",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"q.cut2.sub.example.org A",
     "NOERROR\n"
     "authority sub.example.org. 300 NS ns.sub.example.org.\n"
     "authority sub.example.org. 300 NS ns1.example.org.\n"
     "authority sub.example.org. 300 NS ns.other.test.\n"
     "additional ns.sub.example.org. 300 A 192.0.2.54\n"
     "additional ns.sub.example.org. 300 AAAA 2001:db8::54\n"},
    {"nods.example.org DS",
     "NOERROR aa\n"
     SOA},
    {"nods.example.org A",
     "NOERROR\n"
     "authority nods.example.org. 300 NS ns1.example.org.\n"},
    {"d.example.org A",
     "NOERROR aa\n"
     "answer d.example.org. 300 A 192.0.2.8\n"
     NS},
    {"d.example.org DNAME",
     "NOERROR aa\n"
     "answer d.example.org. 300 DNAME target.example.org.\n"
     NS},
    {"d.example.org TXT",
     "NOERROR aa\n"
     SOA},
    {"host.d.example.org A",
     "NOERROR aa\n"
     "answer d.example.org. 300 DNAME target.example.org.\n"
     "answer host.d.example.org. 300 CNAME host.target.example.org.\n"
     "answer host.target.example.org. 300 A 192.0.2.10\n"
     NS},
    {"host.d.example.org CNAME",
     "NOERROR aa\n"
     "answer d.example.org. 300 DNAME target.example.org.\n"
     "answer host.d.example.org. 300 CNAME host.target.example.org.\n"
     NS},
    {"hidden.d.example.org A",
     "NXDOMAIN aa\n"
     "answer d.example.org. 300 DNAME target.example.org.\n"
     "answer hidden.d.example.org. 300 CNAME hidden.target.example.org.\n"
     SOA},
    {"nope.d.example.org A",
     "NXDOMAIN aa\n"
     "answer d.example.org. 300 DNAME target.example.org.\n"
     "answer nope.d.example.org. 300 CNAME nope.target.example.org.\n"
     SOA},
    {"x.dl.example.org A",
     "SERVFAIL\n"},
    {"host.dout.example.org A",
     "NOERROR aa\n"
     "answer dout.example.org. 300 DNAME other.test.\n"
     "answer host.dout.example.org. 300 CNAME host.other.test.\n"
     "answer host.other.test. 30 A 198.51.100.1\n"
     NS},
    {"x.dlong.example.org A tcp",
     "NOERROR aa\n"
     "answer dlong.example.org. 300 DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test.\n"
     "answer x.dlong.example.org. 300 CNAME x.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test.\n"
     NS},
    {"aaaaaaaaaaaaaaaaaaaaaa.dlong.example.org A",
     "YXDOMAIN aa\n"
     "answer dlong.example.org. 300 DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test.\n"},
    {"c1.example.org A",
     "NOERROR aa\n"
     "answer c1.example.org. 300 CNAME c2.example.org.\n"
     "answer c2.example.org. 300 CNAME c3.example.org.\n"
     "answer c3.example.org. 300 CNAME c4.example.org.\n"
     "answer c4.example.org. 300 CNAME c5.example.org.\n"
     "answer c5.example.org. 300 CNAME c6.example.org.\n"
     "answer c6.example.org. 300 CNAME c7.example.org.\n"
     "answer c7.example.org. 300 CNAME c8.example.org.\n"
     "answer c8.example.org. 300 CNAME c9.example.org.\n"
     "answer c9.example.org. 300 CNAME c10.example.org.\n"
     "answer c10.example.org. 300 CNAME c11.example.org.\n"
     NS},
    {"c2.example.org A",
     "NOERROR aa\n"
     "answer c2.example.org. 300 CNAME c3.example.org.\n"
     "answer c3.example.org. 300 CNAME c4.example.org.\n"
     "answer c4.example.org. 300 CNAME c5.example.org.\n"
     "answer c5.example.org. 300 CNAME c6.example.org.\n"
     "answer c6.example.org. 300 CNAME c7.example.org.\n"
     "answer c7.example.org. 300 CNAME c8.example.org.\n"
     "answer c8.example.org. 300 CNAME c9.example.org.\n"
     "answer c9.example.org. 300 CNAME c10.example.org.\n"
     "answer c10.example.org. 300 CNAME c11.example.org.\n"
     "answer c11.example.org. 300 A 192.0.2.11\n"
     NS},
    {"one.example.org RRSIG",
     "NOERROR aa\n"
     SOA},
    {"one.example.org A rd cd",
     "NOERROR aa rd\n"
     "answer one.example.org. 300 A 192.0.2.12\n"
     NS},
    {"one.example.org A do",
     "NOERROR aa\n"
     "answer one.example.org. 300 A 192.0.2.12\n"
     NS},
};
