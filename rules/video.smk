rule decode:
    input:
        shard_videos,
    output:
        unless(config["keep_frames"], "results/videos/{collection}/{frames}/{shard}.h5"),
    log:
        "results/logs/decode/{collection}/{frames}/{shard}.log",
    benchmark:
        "results/benchmarks/decode/{collection}/{frames}/{shard}.tsv"
    conda:
        "../envs/vidistill.yaml"
    threads: 4
    resources:
        mem_mb=grows(2000),
        runtime=grows(240),
        disk_mb=grows(20000),
    params:
        settings=settings(decode_settings),
        reads=reads("vidistill.video.decode", decode_settings),
        content=content(shard_videos),
        dangling=dangling_links,
        work="results/.work/decode/{collection}/{frames}/{shard}",
    shell:
        "python -m vidistill.video.decode --settings {params.settings:q} --videos {input:q} {params.dangling:q} --output {output:q}"
        " --work {params.work:q} --workers {threads} > {log:q} 2>&1"


rule flow:
    input:
        lambda wildcards: f"results/videos/{{collection}}/{plan.frames_of(wildcards.collection, wildcards.flow)}/{{shard}}.h5",
    output:
        unless(config["keep_flow"], "results/videos/{collection}/{flow}/{shard}.h5"),
    log:
        "results/logs/flow/{collection}/{flow}/{shard}.log",
    benchmark:
        "results/benchmarks/flow/{collection}/{flow}/{shard}.tsv"
    # Finish a shard, which frees its frames, before the other shards are decoded.
    priority: 1
    conda:
        "../envs/vidistill.yaml"
    threads: 4
    resources:
        gpu=gpus(),
        mem_mb=grows(4000),
        runtime=grows(720),
        disk_mb=grows(20000),
    params:
        settings=settings(flow_settings),
        reads=reads("vidistill.video.flow", flow_settings),
        work="results/.work/flow/{collection}/{flow}/{shard}",
    shell:
        "python -m vidistill.video.flow --settings {params.settings:q} --frames {input:q} --output {output:q}"
        " --work {params.work:q} --workers {threads} > {log:q} 2>&1"
