/* Addresses: which text is the one spelling of an IP, and what is made of the others. */
#include "check.h"

#include "backends/kubernetes/packed.h"
#include "backends/kubernetes/slice.h"

static const struct {
    const char *text;
    unsigned len; /* 4, 16, 0: kept as text */
    int family;
    const char *label;
} addrs[] = {
    {"10.0.0.1", 4, 4, "10-0-0-1"},
    {"255.255.255.255", 4, 4, "255-255-255-255"},
    {"0.0.0.0", 4, 4, "0-0-0-0"},
    {"01.2.3.4", 0, 0, "01-2-3-4"},
    {"256.1.1.1", 0, 0, "256-1-1-1"},
    {"1.2.3", 0, 0, "1-2-3"},
    {"1.2.3.4.", 0, 0, "1-2-3-4-"},
    {"1.2.3.4.5", 0, 0, "1-2-3-4-5"},
    {"1.2.3.", 0, 0, "1-2-3-"},
    {"::", 16, 6, "--0"},
    {"::1", 16, 6, "--1"},
    {"fd00::", 16, 6, "fd00--0"},
    {"fd00:1::2:0:0:3", 16, 6, "fd00-1--2-0-0-3"}, /* the first of two equal runs is the one */
    {"fd00:1:0:0:2::3", 0, 6, "fd00-1-0-0-2--3"},
    {"fd00:1::2:0:3", 16, 6, "fd00-1--2-0-3"},
    {"1:2:3:4:5:6:7:8", 16, 6, "1-2-3-4-5-6-7-8"},
    {"1:2:3:4:5:6:7:0", 16, 6, "1-2-3-4-5-6-7-0"},
    {"1:0:3:4:5:6:7:8", 16, 6, "1-0-3-4-5-6-7-8"},
    {"1::3:4:5:6:7:8", 0, 6, "1--3-4-5-6-7-8"},
    {"0:0:1::", 16, 6, "0-0-1--0"},
    {"::1:0:0:0:0", 0, 6, "--1-0-0-0-0"},
    {"0:0:0:1::", 16, 6, "0-0-0-1--0"},
    {"FD00::1", 0, 6, "FD00--1"},
    {"fd00::01", 0, 6, "fd00--01"},
    {"::102:304", 16, 6, "--102-304"},
    {"::1.2.3.4", 0, 6, "::1-2-3-4"},
    {"::ffff:1.2.3.4", 0, 4, "::ffff:1-2-3-4"},
    {"::ffff:102:304", 0, 4, "--ffff-102-304"},
    {"fe80::1%eth0", 0, 0, "fe80--1%eth0"},
    {"db.example.test", 0, 0, "db-example-test"},
    {"localhost", 0, 0, ""},
};

static void test_forms(void)
{
    for (size_t i = 0; i < COUNT(addrs); i++) {
        const char *text = addrs[i].text;
        char again[WP_KUBE_TEXT_MAX], label[WP_KUBE_NAME_MAX];
        uint8_t room[16], ip[16];
        struct wp_kube_addr a = wp_kube_addr_from_text(text, strlen(text), room);
        size_t n;
        CHECK_AT(text, a.len == addrs[i].len);
        CHECK_AT(text, wp_kube_addr_family(&a, ip) == addrs[i].family);
        CHECK_AT(text, wp_kube_addr_text(&a, again) == strlen(text));
        CHECK_AT(text, memcmp(again, text, strlen(text)) == 0);
        n = wp_kube_addr_label(&a, label);
        CHECK_AT(text, n == strlen(addrs[i].label) && memcmp(label, addrs[i].label, n) == 0);
        if (a.len != 0) { /* and back */
            struct wp_kube_label l = wp_kube_label_from(label, n);
            CHECK_AT(text, l.ip_len == a.len && memcmp(l.ip, a.at, a.len) == 0);
        }
        for (size_t k = 0; k < COUNT(addrs); k++) {
            uint8_t room2[16];
            struct wp_kube_addr b =
                wp_kube_addr_from_text(addrs[k].text, strlen(addrs[k].text), room2);
            CHECK_AT(text, wp_kube_addr_equal(&a, &b) == (i == k));
        }
    }
}

static void test_labels_of_no_address(void)
{
    static const char *const labels[] = {
        "",
        "-",
        "web",
        "web-b",
        "1-2-3",
        "01-2-3-4",
        "1-2-3-4-5",
        "10.0-0-1",
        "fd00--",
        "fd00--01",
        "FD00--1",
        "--ffff-102-304",
        "1-2-3-4-5-6-7-8-9",
        "fd00-1-0-0-2--3",
    };

    for (size_t i = 0; i < COUNT(labels); i++) {
        struct wp_kube_label l = wp_kube_label_from(labels[i], strlen(labels[i]));
        CHECK_AT(labels[i], l.ip_len == 0 && wp_kube_text_is(l.text, labels[i]));
    }
}

static void test_lists(void)
{
    struct wp_kube_text texts[COUNT(addrs)];
    static const struct wp_kube_port ports[] = {
        {80, {"http", 4}, {"TCP", 3}},
        {WP_KUBE_NO_PORT, {"", 0}, {"", 0}},
        {65535, {"", 0}, {"Odd", 3}},
    };
    uint8_t packed[4096], *end;
    struct wp_kube_cursor c;
    struct wp_kube_addr a;
    struct wp_kube_port port;
    size_t n = 0;

    for (size_t i = 0; i < COUNT(addrs); i++)
        texts[i] = (struct wp_kube_text){addrs[i].text, strlen(addrs[i].text)};
    end = wp_kube_addrs_write(texts, COUNT(texts), packed);
    CHECK((size_t)(end - packed) == wp_kube_addrs_size(texts, COUNT(texts)));
    for (c = (struct wp_kube_cursor){packed, end}; wp_kube_addr_next(&c, &a); n++) {
        char again[WP_KUBE_TEXT_MAX];
        CHECK(wp_kube_addr_text(&a, again) == texts[n].len &&
              memcmp(again, texts[n].at, texts[n].len) == 0);
    }
    CHECK(n == COUNT(texts));
    end = wp_kube_ports_write(ports, COUNT(ports), packed);
    CHECK((size_t)(end - packed) == wp_kube_ports_size(ports, COUNT(ports)));
    for (n = 0, c = (struct wp_kube_cursor){packed, end}; wp_kube_port_next(&c, &port); n++)
        CHECK(port.number == ports[n].number && wp_kube_text_equal(port.name, ports[n].name) &&
              wp_kube_text_equal(port.protocol, ports[n].protocol));
    CHECK(n == COUNT(ports));
}

RUN_TESTS(TEST(test_forms), TEST(test_labels_of_no_address), TEST(test_lists))
