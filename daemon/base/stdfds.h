/* Descriptors 0, 1 and 2 of a program whose starter has closed some of them. */
#ifndef TABMAIL_STDFDS_H
#define TABMAIL_STDFDS_H

/*
 * First of all in main(): opens those that are closed, so that no socket and no file becomes one of them and
 * takes what is meant for people.  A read of a standard input that was closed fails.
 */
void stdfds_open(void);

#endif
