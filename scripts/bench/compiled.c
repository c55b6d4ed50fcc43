/*
 * What the media engine does in a tick, and no more than that, for a processor instead of an
 * interpreter: see compiled.py. No error is handled; what goes wrong shows in the generator's
 * figures.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 12, ROUND = 24, STRIDE = 1536, BLOCK = 2400, RING = 14 * BLOCK, FRAME = 160 };

/* One leg; compiled.py has the same as a numpy type. */
struct leg {
	int32_t socket;
	int32_t journal;
	struct sockaddr_in party;  /* where it is sent to, and who is heard */
	int64_t partner;           /* whom its packets are passed on to, or -1 */
	int64_t anchored;          /* whether there was a packet */
	int64_t anchor;            /* the timestamp that is position 0 */
	int64_t placed;
	int64_t kept;
	int64_t received;
	uint32_t sequence, timestamp, ssrc, offset;  /* of what it sends */
};

static uint8_t data[ROUND][STRIDE];
static uint8_t controls[ROUND][64];
static struct sockaddr_in names[ROUND];
static struct iovec vectors[ROUND];
static struct mmsghdr messages[ROUND];

static uint32_t word(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, 4);
	return ntohl(value);
}

static void put_word(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, 4);
}

static void place(struct leg *leg, int16_t *ring, const int16_t *law, const uint8_t *packet, int size)
{
	uint32_t timestamp = word(packet + 4);
	if (!leg->anchored) {
		leg->anchored = 1;
		leg->anchor = timestamp;
	}
	int64_t position = (int32_t)(timestamp - (uint32_t)leg->anchor - (uint32_t)leg->placed) + leg->placed;
	if (position < 0 || position > leg->placed + RING)
		return;
	for (; leg->placed < position; leg->placed++)
		ring[leg->placed % RING] = 0;
	int at = position % RING;
	for (int i = 0; i < size; i++) {
		ring[at] = law[packet[HEADER + i]];
		if (++at == RING)
			at = 0;
	}
	if (position + size > leg->placed)
		leg->placed = position + size;
}

static void pass_on(struct leg *leg, uint8_t *packet, int length)
{
	packet[0] = 0x80;
	put_word(packet, (word(packet) & 0xffff0000u) | ((word(packet) + leg->sequence) & 0xffff));
	put_word(packet + 4, word(packet + 4) + leg->timestamp);
	put_word(packet + 8, leg->ssrc);
	sendto(leg->socket, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL, (void *)&leg->party,
	       sizeof leg->party);
}

static void prepare(void)
{
	for (int i = 0; i < ROUND; i++) {
		vectors[i] = (struct iovec){data[i], STRIDE};
		messages[i].msg_hdr = (struct msghdr){
			&names[i], sizeof names[i], &vectors[i], 1, controls[i], sizeof controls[i], 0};
	}
}

/* Drain legs first, first + step...: place, pass on, write down. */
void drain(struct leg *legs, int count, int first, int step, int16_t *rings, const int16_t *law)
{
	if (!messages[0].msg_hdr.msg_iov)
		prepare();
	for (int n = first; n < count; n += step) {
		struct leg *leg = &legs[n];
		int16_t *ring = rings + (int64_t)n * RING;
		int taken = recvmmsg(leg->socket, messages, ROUND, MSG_DONTWAIT, 0);
		for (int i = 0; i < taken; i++) {
			int length = messages[i].msg_len;
			messages[i].msg_hdr.msg_namelen = sizeof names[i];
			messages[i].msg_hdr.msg_controllen = sizeof controls[i];
			if (length < HEADER || data[i][0] != 0x80 || names[i].sin_port != leg->party.sin_port ||
			    names[i].sin_addr.s_addr != leg->party.sin_addr.s_addr)
				continue;
			leg->received++;
			place(leg, ring, law, data[i], length - HEADER);
			if (leg->partner >= 0)
				pass_on(&legs[leg->partner], data[i], length);
		}
		for (; leg->placed - leg->kept >= BLOCK; leg->kept += BLOCK)
			pwrite(leg->journal, ring + leg->kept % RING, 2 * BLOCK, 2 * leg->kept);
	}
}

/* Send the next frame of `clip` (`size` bytes) to every leg's party. */
void play(struct leg *legs, int count, const uint8_t *clip, uint32_t size)
{
	for (int n = 0; n < count; n++) {
		struct leg *leg = &legs[n];
		uint8_t header[HEADER];
		put_word(header, 0x80000000u | (leg->sequence++ & 0xffff));
		put_word(header + 4, leg->timestamp);
		put_word(header + 8, leg->ssrc);
		leg->timestamp += FRAME;
		if (leg->offset + FRAME > size)
			leg->offset = 0;
		struct iovec both[2] = {{header, HEADER}, {(void *)(clip + leg->offset), FRAME}};
		struct msghdr message = {&leg->party, sizeof leg->party, both, 2, 0, 0, 0};
		sendmsg(leg->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		leg->offset += FRAME;
	}
}
