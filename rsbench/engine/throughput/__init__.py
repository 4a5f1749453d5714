"""Throughput: samples a second of inference and training, measured so that the numbers can be compared.

``perf`` of a throughput record, times in seconds, memory in bytes, ``None`` where something is not known::

    unit         images | captions | questions
    params       parameters; buffers: other numbers of the network, weights of a frozen encoder among them
    inference, training (those asked for)
        batch           of the row: the knee of the sweep
        stopped         knee | memory | time | largest | listed: why no larger batch was measured
        points[]        batch, steps, window_s[], samples_per_s, quartiles, warmup{...}, peak_memory_bytes
        macs            multiply-accumulates a sample; FLOPs are twice as many
        peak_share      of the device's matrix peak
        energy_j        a sample
        data_wait       training alone: batch, steps, share of a window that the loader adds to it, and the windows
                        fed by it (fed_s[]) and on a batch that is there (still_s[]), taken in turn
    latency_ms   p50, p95, p99, calls: inference at batch 1
    peak         flops (a second), matmul, convolution
    drift        max_abs, reference_max_abs: of the logits against eager fp32
    contention   load, busy_before, cpu_over_wall, switches_per_s, clock_mhz, throttle[]
    flags[]      what speaks against the numbers
"""
