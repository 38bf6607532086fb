/*
 * The test program as the worker that the supervisor spawns (it execs
 * /proc/self/exe): misbehaving in the way FAKE_WORKER_ENV names.
 */
#ifndef FAKE_WORKER_H
#define FAKE_WORKER_H

#define FAKE_WORKER_ENV "NLBD_TEST_WORKER"

/*
 *  good      takes configs, beats, goes when told
 *  crash     exits with 3 at once
 *  silent    good, but without a heartbeat
 *  deaf      closes its channel and beats on
 *  mute      beats, never says that it is ready
 *  stubborn  good, but does not go when told
 *  refuse    answers each config with an error
 *  chatty    good, and says odd things first, for each config
 *
 * What it was told shows in its block of the scoreboard: pipes = descriptors
 * of the last config, active_flows = the last max_flows_per_source. It says
 * that it can hold 1000 flows.
 */
#define FAKE_WORKER_MAX_FLOWS 1000

/* argv is that of a worker, so this never returns; else it does nothing. With
 * the variable unset it is a real worker. */
void fake_worker_run_if_asked(int argc, char **argv);

#endif
