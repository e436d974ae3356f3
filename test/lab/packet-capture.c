/* packet-capture: every frame that crosses an interface, in or out, into a pcap file.
 *
 *   packet-capture INTERFACE FILE
 *
 * Writes "ready" when nothing can be missed any more. When its input ends, it takes what the kernel still holds, writes
 * "PACKETS DROPPED" (what it stored, what the kernel had no room for) and ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define QUEUE (128 << 20) /* bytes the kernel keeps for us while we write */
#define SNAP 262144       /* whole frames, also the big ones of segmentation offload */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int main(int count, char **arg)
{
	static uint8_t frame[SNAP];
	if (count != 3) {
		fprintf(stderr, "usage: packet-capture INTERFACE FILE\n");
		return 2;
	}
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0) die("AF_PACKET");
	int queue = QUEUE;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof queue)) die("SO_RCVBUFFORCE");
	FILE *file = fopen(arg[2], "wb");
	if (!file) die(arg[2]);
	/* The head of a pcap file: magic, version 2.4, zone, accuracy, longest frame, Ethernet. */
	uint32_t head[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, SNAP, 1 };
	fwrite(head, sizeof head, 1, file);
	struct sockaddr_ll where = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(arg[1]) };
	if (!where.sll_ifindex || bind(fd, (struct sockaddr *)&where, sizeof where)) die(arg[1]);
	printf("ready\n");
	fflush(stdout);
	unsigned long stored = 0;
	for (int ending = 0;;) {
		ssize_t got = recv(fd, frame, sizeof frame, MSG_DONTWAIT);
		if (got > 0) {
			struct timeval t;
			gettimeofday(&t, 0);
			uint32_t record[4] = { t.tv_sec, t.tv_usec, got, got };
			if (fwrite(record, sizeof record, 1, file) != 1 || fwrite(frame, got, 1, file) != 1) die(arg[2]);
			stored++;
			continue;
		}
		if (ending) break;
		struct pollfd ends[2] = { { fd, POLLIN, 0 }, { 0, POLLIN, 0 } };
		if (poll(ends, 2, -1) > 0 && ends[1].revents) ending = 1;
	}
	struct tpacket_stats stats = {0};
	socklen_t size = sizeof stats;
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
	if (fclose(file)) die(arg[2]);
	printf("%lu %u\n", stored, stats.tp_drops);
	return 0;
}
