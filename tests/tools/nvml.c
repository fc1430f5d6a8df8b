/* A libnvidia-ml.so for machines without a card: one card whose memory, load and heat stand in the file that FAKE_CARD names
   ("used_mib total_mib percent celsius"). Only what probes ask; signatures and numbers are those of NVIDIA's nvml.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } rates_t;

enum { SUCCESS = 0, NOT_FOUND = 6, UNKNOWN = 999 };

static int card(long long *used, long long *total, unsigned *percent, unsigned *celsius) {
    const char *path = getenv("FAKE_CARD");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return UNKNOWN;
    int read = fscanf(file, "%lld %lld %u %u", used, total, percent, celsius);
    fclose(file);
    return read == 4 ? SUCCESS : UNKNOWN;
}

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    static int only;
    *device = &only;
    return index == 0 ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) {
    (void)device;
    snprintf(name, length, "Fake A10");
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(void *device, memory_t *memory) {
    long long used, total;
    unsigned percent, celsius;
    (void)device;
    int found = card(&used, &total, &percent, &celsius);
    if (found != SUCCESS) return found;
    memory->reserved = 0;
    memory->total = (unsigned long long)total << 20;
    memory->used = (unsigned long long)used << 20;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, rates_t *rates) {
    long long used, total;
    unsigned celsius;
    (void)device;
    rates->memory = 0;
    return card(&used, &total, &rates->gpu, &celsius);
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
    long long used, total;
    unsigned percent;
    (void)device;
    (void)sensor;
    return card(&used, &total, &percent, celsius);
}
