rule demo:
    output:
        videos=told(inventory.demo_files)(),
        annotations="results/demo/annotations.csv",
    log:
        "results/logs/demo.log",
    benchmark:
        "results/benchmarks/demo.tsv"
    conda:
        "../envs/vidistill.yaml"
    threads: 4
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=settings(demo_settings),
        reads=reads("vidistill.data.demo.demo", demo_settings),
        folder=lambda wildcards, output: os.path.dirname(output.videos[0]),
    shell:
        "python -m vidistill.data.demo.demo --settings {params.settings:q} --videos {params.folder:q}"
        " --annotations {output.annotations:q} --workers {threads} > {log:q} 2>&1"


# Labels of what happens in the videos, which is a function of the settings; no video is drawn again for them.
rule demo_actions:
    output:
        "results/demo/actions.csv",
    log:
        "results/logs/demo_actions.log",
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
    params:
        settings=settings(demo_settings),
        reads=reads("vidistill.data.demo.actions", demo_settings),
    shell:
        "python -m vidistill.data.demo.actions --settings {params.settings:q} --output {output:q} > {log:q} 2>&1"


# Two tables from the same files, so that a corrected moment does not rerun training.
rule queries:
    input:
        files=annotations,
        videos=undated_videos,
    output:
        "results/{dataset}/queries.parquet",
    log:
        "results/logs/queries/{dataset}.log",
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=settings(queries_settings),
        reads=reads("vidistill.data.queries", queries_settings),
        sentences=sentences,
        content=content(undated_videos),
        folder=videos_folder,
    shell:
        "python -m vidistill.data.queries --settings {params.settings:q} --videos {params.folder:q}"
        " --queries {output:q} > {log:q} 2>&1"


rule moments:
    input:
        files=annotations,
        queries="results/{dataset}/queries.parquet",
    output:
        moments="results/{dataset}/moments.parquet",
        problems="results/{dataset}/problems.csv",
    log:
        "results/logs/moments/{dataset}.log",
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=settings(queries_settings),
        reads=reads("vidistill.data.moments", queries_settings),
        rows=annotated_rows,
    shell:
        "python -m vidistill.data.moments --settings {params.settings:q} --queries {input.queries:q}"
        " --moments {output.moments:q} --problems {output.problems:q} > {log:q} 2>&1"


# Its params depend on moments of the training splits alone, so that a corrected test moment reruns no training.
rule training_moments:
    input:
        files=annotations,
        queries="results/{dataset}/queries.parquet",
    output:
        "results/{dataset}/training_moments.parquet",
    log:
        "results/logs/training_moments/{dataset}.log",
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=settings(training_rows_settings),
        reads=reads("vidistill.data.training_moments", training_rows_settings),
        rows=training_rows,
    shell:
        "python -m vidistill.data.training_moments --settings {params.settings:q} --queries {input.queries:q}"
        " --output {output:q} > {log:q} 2>&1"


# Of labels too: what models of actions see has a table of its own, and neither a moment nor a label of another split.
rule training_labels:
    input:
        files=annotations,
        videos=undated_videos,
    output:
        "results/{dataset}/training_labels.parquet",
    log:
        "results/logs/training_labels/{dataset}.log",
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=settings(training_rows_settings),
        reads=reads("vidistill.data.training_labels", training_rows_settings),
        labels=training_labels,
        content=content(undated_videos),
        folder=videos_folder,
    shell:
        "python -m vidistill.data.training_labels --settings {params.settings:q} --videos {params.folder:q}"
        " --output {output:q} > {log:q} 2>&1"


# Of a text encoder: words and their vectors, so that vectors are made again for other words alone.
rule words:
    input:
        "results/{dataset}/queries.parquet",
    output:
        "results/{dataset}/words.txt",
    log:
        "results/logs/words/{dataset}.log",
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=settings(words_settings),
        reads=reads("vidistill.data.words", words_settings),
    shell:
        "python -m vidistill.data.words --settings {params.settings:q} --queries {input:q} --output {output:q}"
        " > {log:q} 2>&1"


rule encode_words:
    input:
        words="results/{dataset}/words.txt",
        weights=encoder_files,
    output:
        "results/{dataset}/encoded_words.safetensors",
    log:
        "results/logs/encode_words/{dataset}.log",
    benchmark:
        "results/benchmarks/encode_words/{dataset}.tsv"
    conda:
        "../envs/vidistill.yaml"
    threads: lambda wildcards: encode_words_settings(wildcards)["threads"]
    resources:
        gpu=gpus(),
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=settings(encode_words_settings),
        reads=reads("vidistill.features.encode_words", encode_words_settings),
        content=content(encoder_files),
    shell:
        "python -m vidistill.features.encode_words --settings {params.settings:q} --words {input.words:q}"
        " --weights {input.weights:q} --output {output:q} > {log:q} 2>&1"


rule vocabulary:
    input:
        queries="results/{dataset}/queries.parquet",
        vectors=word_vectors,
    output:
        vocabulary="results/{dataset}/vocabulary.json",
        vectors="results/{dataset}/word_vectors.safetensors",
    log:
        "results/logs/vocabulary/{dataset}.log",
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=settings(vocabulary_settings),
        reads=reads("vidistill.data.vocabulary", vocabulary_settings),
        content=content(word_vectors),
        encoded=encoded_words,
    shell:
        "python -m vidistill.data.vocabulary --settings {params.settings:q} --queries {input.queries:q} {params.encoded:q}"
        " --vocabulary {output.vocabulary:q} --word-vectors {output.vectors:q} > {log:q} 2>&1"
