/*
 * How addresses and other texts are written in the parameters of SMTP: xtext (RFC 3461 4), and for addresses of
 * the type utf-8 its kin of RFC 6533 3, where \x{FC} stands for what is not ASCII.  Pure.
 */
#ifndef TABMAIL_XTEXT_H
#define TABMAIL_XTEXT_H

#include <stdbool.h>

struct text;

/*
 * Printable but for + and =, or +HH of something printable; not empty.  utf8: characters beyond ASCII may stand
 * in it as they are.
 */
bool xtext_is_valid(const char *, bool utf8);

/* ORCPT's value: a type, a semicolon, and an address in the form that the type has. */
#define ORCPT_MAX 500 /* bytes, RFC 3461 4.2 */
bool xtext_is_orcpt(const char *, bool utf8);

/* ORCPT's value, or an address, in the form of RFC 6533 that is ASCII. */
void xtext_put_ascii(struct text *, const char *);

/* ORCPT's value with the address itself: "utf-8;jürgen@example.org". */
void xtext_put_decoded(struct text *, const char *orcpt);

#endif
