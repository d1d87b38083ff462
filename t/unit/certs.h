/* Test certificates, made by openssl(1) in a scratch folder: certs_make("NAME") -> NAME.crt, NAME.key. */
#ifndef CERTS_H
#define CERTS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>
#include <unistd.h>

static char certs_dir[64];

__attribute__((unused)) static void
certs_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", certs_dir);
	if (system(command) != 0)
		perror(certs_dir);
}

/* Self-signed, for that DNS name. */
__attribute__((unused)) static void
certs_make(const char *name)
{
	char command[512];

	if (certs_dir[0] == '\0') {
		strcpy(certs_dir, "/tmp/tm.certs.XXXXXX");
		if (mkdtemp(certs_dir) == NULL)
			exit(1);
		atexit(certs_remove);
	}
	snprintf(command, sizeof(command),
	    "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "
	    "30 "
	    "-subj /CN=%s -addext subjectAltName=DNS:%s -keyout %s.key -out %s.crt 2>/dev/null",
	    certs_dir, name, name, name, name);
	if (system(command) != 0) {
		fprintf(stderr, "openssl could not make a certificate\n");
		exit(1);
	}
}

__attribute__((unused)) static const char *
certs_path(const char *name, const char *ending)
{
	static char path[2][128];
	static int i;

	i = !i;
	snprintf(path[i], sizeof(path[i]), "%s/%s.%s", certs_dir, name, ending);
	return path[i];
}

/* A server's configuration with that pair. */
__attribute__((unused)) static struct tls_config *
certs_server(const char *name)
{
	struct tls_config *config = tls_config_new();

	if (tls_config_set_keypair_file(config, certs_path(name, "crt"), certs_path(name, "key")) ==
	    -1)
		fprintf(stderr, "%s\n", tls_config_error(config));
	return config;
}

#endif
