/* Limits in flight: of one user, of one route, of all; what has no room waits its turn, and users and routes take turns. */
#include "queue/house.h"

static const char small[] = "Subject: hello\n\nBody.\n";

static void
put(const char *rcpt, int n)
{
	for (int i = 0; i < n; i++)
		house_send((struct house_mail){
		    .sender = "", .rcpts = { rcpt }, .data = small, .len = sizeof(small) - 1 });
}

/* What is in hand when all that waits is in its lane. */
static int
in_hand(int waiting)
{
	house_until((int)spool_count_envelopes() == waiting && house.asked >= waiting);
	for (int i = 0; i < 300; i++)
		event_base_loop(process.base, EVLOOP_NONBLOCK);
	return house.rcpts_in_hand;
}

static void
finish(void)
{
	while (!house_empty()) {
		house_until(house.n_in_hand > 0 || house_empty());
		if (house.n_in_hand == 0)
			break;
		house_go();
		house_until(house.n_in_hand > 0 || house_empty());
	}
	ok(house_empty(), "all go, one after the other");
	house.asked = 0;
}

static void
test_user(void)
{
	house_conf.limit.deliveries = 3;
	put("user1@x", 10);
	put("user2@x", 1);
	is_int(in_hand(11), 4, "three of one user, and another's");
	finish();
	house_conf.limit.deliveries = 64;
}

static void
test_route(void)
{
	house_conf.limit.route_deliveries = 3;
	house_send((struct house_mail){ .sender = "",
	    .rcpts = { "relay1@y", "relay2@y", "relay3@y", "relay4@y", "relay5@y", "relay6@y",
		"relay7@y" },
	    .data = small,
	    .len = sizeof(small) - 1 });
	put("user1@x", 2);
	is_int(in_hand(9), 5, "three of a route, and a user's two");
	finish();
	house_conf.limit.route_deliveries = 5000;
}

/* One user has much, and came first; the others have one each. */
static void
test_all(void)
{
	int most = 0, before_all = 0;

	house_conf.limit.all_deliveries = 4;
	put("user1@x", 30);
	is_int(in_hand(30), 4, "four in all");
	put("user2@x", 1);
	put("relay1@y", 1);
	put("user3@x", 1);
	is_int(in_hand(33), 4, "no more when others come");
	house.dests[0] = '\0';
	for (int i = 0;
	     i < 30 && !(strstr(house.dests, "user2@x") && strstr(house.dests, "user3@x") &&
			   strstr(house.dests, "relay1@y"));
	     i++) {
		house_go();
		before_all++;
		(void)in_hand((int)spool_count_envelopes());
		most = house.rcpts_in_hand > most ? house.rcpts_in_hand : most;
	}
	ok(before_all < 20, "the others have their turn after %d of the first", before_all);
	is_int(most, 4, "never more than four");
	finish();
	house_conf.limit.all_deliveries = 5000;
}

/* All of a route hangs. */
static void
test_half(void)
{
	house_conf.limit.all_deliveries = 100;
	for (int i = 0; i < 20; i++)
		house_send((struct house_mail){ .sender = "",
		    .rcpts = { "relay1@y", "relay2@y", "relay3@y", "relay4@y", "relay5@y",
			"relay6@y", "relay7@y" },
		    .data = small,
		    .len = sizeof(small) - 1 });
	is_int(in_hand(140), 50, "a route takes half of what may be in flight");
	house.dests[0] = '\0';
	put("user2@x", 1);
	(void)in_hand(141);
	ok(strstr(house.dests, "user2@x") != NULL, "and a user's mail goes beside it");
	finish();
	house_conf.limit.all_deliveries = 5000;
}

/* Deliveries of many users hang; a hundred are allowed in all. */
static void
test_users(void)
{
	char rcpts[10][16];

	house_conf.limit.all_deliveries = 100;
	for (int i = 0; i < 10; i++) {
		snprintf(rcpts[i], sizeof(rcpts[i]), "user%d@x", 10 + i);
		put(rcpts[i], 20);
	}
	int in_hand_now = in_hand(200);
	ok(in_hand_now < 100, "ten users leave others some room: %d", in_hand_now);
	house.dests[0] = '\0';
	put("relay1@y", 1);
	(void)in_hand(201);
	ok(strstr(house.dests, "relay1@y") != NULL, "and a route's mail goes");
	finish();
	house_conf.limit.all_deliveries = 5000;
}

int
main(void)
{
	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	house.hold = true;
	test_user();
	test_route();
	test_all();
	test_half();
	test_users();
	queue_role.on_stop();
	house_clean();
	return done();
}
