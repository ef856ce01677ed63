/* The waiting queries of a generation: they keep it alive. On the workers' threads. */
#include "server/process/process_priv.h"
#include "waypost/server/gen.h"
#include "waypost/server/router.h"

/* A worker is done with a generation when it is retired there and nothing waits. */
static void worker_done(struct wp_gen *gen)
{
    if (atomic_fetch_sub_explicit(&gen->busy_workers, 1, memory_order_acq_rel) == 1 &&
        gen->on_idle != NULL)
        gen->on_idle(gen);
}

void wp_gen_hold(struct wp_gen *gen, int worker)
{
    gen->counts[worker].waiting++;
}

void wp_gen_release(struct wp_gen *gen, int worker)
{
    if (--gen->counts[worker].waiting == 0 && gen->counts[worker].retired)
        worker_done(gen);
}

void wp_gen_retire(struct wp_gen *gen, int worker)
{
    gen->counts[worker].retired = true;
    if (gen->counts[worker].waiting == 0)
        worker_done(gen);
}
