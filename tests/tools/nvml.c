/* A libnvidia-ml.so for machines without a card: one card whose memory, load and heat stand in the file that FAKE_CARD names
   ("used_mib total_mib percent celsius", and if there is more to say, why it is slowed down as a number, and numbers and MiB of the
   programs on it). Only what probes ask; signatures and numbers are those of NVIDIA's nvml.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } rates_t;

enum { SUCCESS = 0, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, UNKNOWN = 999 };

static int card(long long *used, long long *total, unsigned *percent, unsigned *celsius) {
    const char *path = getenv("FAKE_CARD");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return UNKNOWN;
    int read = fscanf(file, "%lld %lld %u %u", used, total, percent, celsius);
    fclose(file);
    return read == 4 ? SUCCESS : UNKNOWN;
}

typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;

/* What stands behind the four numbers; how many programs. */
static unsigned more(unsigned long long *reasons, process_t *processes, unsigned room) {
    const char *path = getenv("FAKE_CARD");
    FILE *file = path ? fopen(path, "r") : NULL;
    unsigned pid, count = 0;
    unsigned long long mib;
    *reasons = 0;
    if (!file) return 0;
    if (fscanf(file, "%*d %*d %*u %*u %llu", reasons) == 1)
        for (; fscanf(file, "%u %llu", &pid, &mib) == 2; count++)
            if (count < room) processes[count] = (process_t){pid, mib << 20, 0, 0};
    fclose(file);
    return count;
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

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
    (void)device;
    more(reasons, NULL, 0);
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process_t *processes) {
    unsigned long long reasons;
    unsigned room = processes ? *count : 0;
    (void)device;
    *count = more(&reasons, processes, room);
    return *count > room ? INSUFFICIENT_SIZE : SUCCESS;
}
