/* table-ldap -t [-v] FILE SERVICE [KEY]: one question from the shell, for who writes the file. */
#ifndef TABLE_LDAP_ONCE_H
#define TABLE_LDAP_ONCE_H

#define ONCE_USAGE "usage: table-ldap file\n       table-ldap -t [-v] file service [key]\n"

/* The exit status: 0 found, 1 not found, 2 an error, 3 a file with faults or wrong arguments. */
int once_main(int argc, char *argv[]);

#endif
