/*
 * A few threads for what blocks (crypt(3), getpwnam(3), reading a large file), so that a helper's loop
 * answers other questions meanwhile.
 */
#ifndef TABMAIL_TAB_POOL_H
#define TABMAIL_TAB_POOL_H

/* How many threads may run: before the first job; the default is 4. */
void tab_pool_size(unsigned threads);

/*
 * Calls work(arg) in a thread, in order of arrival when all are busy; then done(arg) from the loop of
 * tab_helper_base().  work() may touch nothing but what arg owns.
 */
void tab_pool_run(void (*work)(void *arg), void (*done)(void *arg), void *arg);

#endif
