/* process_*: what Prometheus clients tell of a Linux process, read at each scrape. */
#include "server/metric/metric_priv.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* The n-th field of /proc/self/stat (proc(5)), counting from 1; from the third on. */
static double stat_field(int n)
{
    FILE *in = fopen("/proc/self/stat", "re");
    char line[1024], *at;
    double v = 0;

    if (in == NULL)
        return 0;
    at = fgets(line, sizeof(line), in);
    fclose(in);
    if (at != NULL)
        at = strrchr(line, ')'); /* the name may hold spaces */
    for (int i = 2; at != NULL && i < n; i++)
        at = strchr(at + 1, ' ');
    if (at != NULL)
        sscanf(at, "%lf", &v);
    return v;
}

static double cpu_seconds(void *arg)
{
    struct rusage ru;

    (void)arg;
    getrusage(RUSAGE_SELF, &ru);
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
           (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static double open_fds(void *arg)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = -1; /* the directory's own descriptor */

    (void)arg;
    if (dir == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static double limit(int what)
{
    struct rlimit rl;

    return getrlimit(what, &rl) < 0       ? 0
           : rl.rlim_cur == RLIM_INFINITY ? 18446744073709551615.0 /* as Go */
                                          : (double)rl.rlim_cur;
}

static double max_fds(void *arg)
{
    (void)arg;
    return limit(RLIMIT_NOFILE);
}

static double virtual_bytes(void *arg)
{
    (void)arg;
    return stat_field(23);
}

static double virtual_max_bytes(void *arg)
{
    (void)arg;
    return limit(RLIMIT_AS);
}

static double resident_bytes(void *arg)
{
    (void)arg;
    return stat_field(24) * (double)sysconf(_SC_PAGESIZE);
}

static double start_time(void *arg)
{
    FILE *in = fopen("/proc/stat", "re");
    char line[8192];
    double boot = 0;

    (void)arg;
    while (in != NULL && boot == 0 && fgets(line, sizeof(line), in) != NULL)
        sscanf(line, "btime %lf", &boot);
    if (in != NULL)
        fclose(in);
    return boot + stat_field(22) / (double)sysconf(_SC_CLK_TCK);
}

/* Octets of all interfaces of our network namespace: column 1 received, 9 sent. */
static double network_bytes(int column)
{
    FILE *in = fopen("/proc/self/net/dev", "re");
    char line[512];
    double sum = 0;

    if (in == NULL)
        return 0;
    while (fgets(line, sizeof(line), in) != NULL) {
        char *at = strchr(line, ':');
        uint64_t v[9];
        if (at != NULL &&
            sscanf(at + 1,
                   "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64
                   "%" SCNu64 "%" SCNu64,
                   &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8]) == 9)
            sum += (double)v[column - 1];
    }
    fclose(in);
    return sum;
}

static double received_bytes(void *arg)
{
    (void)arg;
    return network_bytes(1);
}

static double sent_bytes(void *arg)
{
    (void)arg;
    return network_bytes(9);
}

static const struct {
    struct wp_family family;
    double (*read)(void *arg);
} rows[] = {
    {{.name = "process_cpu_seconds_total",
      .help = "Total user and system CPU time spent in seconds.",
      .kind = WP_COUNTER},
     cpu_seconds},
    {{.name = "process_open_fds", .help = "Number of open file descriptors.", .kind = WP_GAUGE},
     open_fds},
    {{.name = "process_max_fds",
      .help = "Maximum number of open file descriptors.",
      .kind = WP_GAUGE},
     max_fds},
    {{.name = "process_virtual_memory_bytes",
      .help = "Virtual memory size in bytes.",
      .kind = WP_GAUGE},
     virtual_bytes},
    {{.name = "process_virtual_memory_max_bytes",
      .help = "Maximum amount of virtual memory available in bytes.",
      .kind = WP_GAUGE},
     virtual_max_bytes},
    {{.name = "process_resident_memory_bytes",
      .help = "Resident memory size in bytes.",
      .kind = WP_GAUGE},
     resident_bytes},
    {{.name = "process_start_time_seconds",
      .help = "Start time of the process since unix epoch in seconds.",
      .kind = WP_GAUGE},
     start_time},
    {{.name = "process_network_receive_bytes_total",
      .help = "Number of bytes received by the process over the network.",
      .kind = WP_COUNTER},
     received_bytes},
    {{.name = "process_network_transmit_bytes_total",
      .help = "Number of bytes sent by the process over the network.",
      .kind = WP_COUNTER},
     sent_bytes},
};

void wp_metric_process(void)
{
    for (size_t i = 0; i < WP_COUNT(rows); i++)
        wp_metric_read(wp_metric_series(&rows[i].family, NULL), rows[i].read, NULL);
}
