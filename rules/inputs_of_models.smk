"""Input functions of the rules about models, file by file: settings, inputs, command-line arguments."""

# For train.smk.


def availability_settings(wildcards):
    return plan.availability(wildcards.dataset, wildcards.model)


def train_settings(wildcards):
    return plan.train(wildcards.dataset, wildcards.model, int(wildcards.seed))


def method(wildcards):
    return plan.method(wildcards.model)


def method_stage(name):
    """The module of a stage of the model's method."""
    return lambda wildcards: f"vidistill.{method(wildcards)}.{name}"


def supervised_by(*kinds):
    """A constraint for {model}: the models with such a supervision that are trained on sentences."""
    trained = (m for m in plan.models if not plan.finds_segments(m) and not plan.is_external(m))
    return one_of(m for m in trained if plan.supervision(m) in kinds)


def finding(segments, external=None):
    """A constraint for {model}: the models that find segments of labels, or those that find moments of sentences; of them
    those whose predictions were made elsewhere, or those that are trained here, or both (None)."""
    found = (model for model in plan.models if plan.finds_segments(model) == segments)
    return one_of(model for model in found if external is None or plan.is_external(model) == external)


def table_of_queries(dataset, models):
    """The table of what is asked; models of actions have one without labels of other splits than those of training."""
    name = "training_labels" if models and all(map(plan.finds_segments, models)) else "queries"
    return f"results/{dataset}/{name}.parquet"


def seen_by_model(wildcards):
    return table_of_queries(wildcards.dataset, [wildcards.model])


def labels(wildcards):
    """The pseudo labels, of the same seed, that train a model in place of moments; empty for most models."""
    path = plan.labels(wildcards.dataset, wildcards.model)
    return [path.replace("{seed}", wildcards.seed)] if path else []


def export_settings(wildcards):
    return plan.export(wildcards.model)


def retrieve_settings(wildcards):
    return plan.retrieve(wildcards.dataset, wildcards.model)


def localise_settings(wildcards):
    return plan.localise(wildcards.dataset, wildcards.model)


@told
def targets_of_teachers(wildcards):
    """The distillation targets of a model: the tables of its teachers, of the same seed; empty without teachers."""
    require(wildcards.dataset, (wildcards.model,))
    tables = {"pseudo_labels": [], "activation_maps": []} | plan.tables_of_teachers(wildcards.dataset, wildcards.model)
    return {table: [path.replace("{seed}", wildcards.seed) for path in paths] for table, paths in tables.items()}


def tables_from_elsewhere(wildcards):
    return [path for paths in targets_of_teachers(wildcards).values() for path in paths]


@told
def model_features(wildcards):
    return features(wildcards.dataset, (wildcards.model,))


def width_of_existing(source, form, key, ids):
    from vidistill.features import feature_files  # numpy, which only this needs

    try:
        return feature_files.width(source, form, key, ids)
    except UserError:
        return 1024  # a guess; the job that reads them reports what is wrong


@told
def memory_of_features(wildcards, attempt):
    """MB for a network and its features."""
    features = inventory.feature_bytes(wildcards.dataset, wildcards.model, width_of_existing)
    return (5000 + features // 10**6) * attempt


# For evaluate.smk.


def evaluate_settings(wildcards):
    return plan.evaluate(wildcards.dataset, wildcards.model)


def localisation_settings(wildcards):
    return plan.localisation(wildcards.dataset, wildcards.model)


@told
def ambiguous_segments(wildcards):
    require(wildcards.dataset, tuple(plan.trained(wildcards.model)))
    return given([path for path in [localisation_settings(wildcards)["ambiguous"]] if path])


def external_settings(wildcards):
    return plan.external_predictions(wildcards.dataset, wildcards.model)


@told
def external_file(wildcards):
    require(wildcards.dataset, (wildcards.model,))
    return given([plan.external_file(wildcards.dataset, wildcards.model, int(wildcards.seed))])


def tables_settings(wildcards):
    return plan.tables(wildcards.dataset)


def measured(wildcards):
    """The trained models of a result, or of all tables, where the output has no {model}."""
    models = plan.compared(wildcards.model) if hasattr(wildcards, "model") else plan.in_tables(wildcards.dataset)
    return [model for model in models if not plan.is_external(model)]


def seen_by_measured(wildcards):
    return table_of_queries(wildcards.dataset, measured(wildcards))


def efficiency_settings(wildcards):
    return plan.efficiency(wildcards.dataset, measured(wildcards))


def efficiency_modules(wildcards):
    methods = sorted({plan.method(model) for model in measured(wildcards)})
    return ["vidistill.evaluation.efficiency", *(f"vidistill.{method}.efficiency" for method in methods)]


def models_of_result(wildcards):
    """MODEL -> its file of the first seed."""
    seed = plan.seeds(wildcards.dataset)[0]
    return {m: f"results/{wildcards.dataset}/{m}/seed-{seed}/model.safetensors" for m in measured(wildcards)}


def of_compared(wildcards, name):
    """MODEL:SEED -> file, for every model in a result that has such a file and every seed."""
    return {
        f"{model}:{seed}": f"results/{wildcards.dataset}/{model}/seed-{seed}/{name}"
        for model in plan.compared(wildcards.model)
        if name == "predictions.parquet" or not plan.is_external(model)
        for seed in plan.seeds_of(wildcards.dataset, model)
    }


def labelled(name):
    return lambda wildcards: as_options(of_compared(wildcards, name))


def as_options(files):
    """Files as command-line arguments LABEL=FILE."""
    return [f"{label}={file}" for label, file in files.items()]


@functools.cache
def tell_unscored(dataset, split, segments):
    """Note, once per data set and never in cluster jobs, that a result will have no numbers."""
    note = inventory.unscored(dataset, split, segments=segments) if IS_MAIN else None
    if note:
        print(f"note: {note}", file=sys.stderr)


@told
def result_features(wildcards):
    """The features of the result's model. First, report everything that is missing for the models it needs.

    Predictions that were made elsewhere are evaluated on the durations that the compared models see.
    """
    dataset, model = wildcards.dataset, wildcards.model
    require(dataset, tuple(plan.trained(model)))
    tell_unscored(dataset, plan.evaluated_split(dataset, model), plan.finds_segments(model))
    return features(dataset, tuple(plan.compared(model)) if plan.is_external(model) else (model,))


@told
def results_of_tables(wildcards):
    """The results of all models in the tables. First, report everything that is missing for them."""
    dataset = wildcards.dataset
    if not plan.in_tables(dataset):
        kind = "segments of labels" if plan.of_labels(dataset) else "moments of sentences"
        raise UserError(f"configuration, tables: no table for {dataset} lists a model that finds {kind}; list some.")
    require(dataset, tuple(plan.trained_for_tables(dataset)))
    return [f"results/{model}_{dataset}.json" for model in plan.in_tables(dataset)]


# For report.smk.


def figures_settings(wildcards):
    return reports.figures(plan, wildcards.dataset, wildcards.model)


def action_figures_settings(wildcards):
    return reports.action_figures(plan, wildcards.dataset, wildcards.model)


def of_first_seed(name):
    """A file of the result's model, of its first seed."""
    return (
        lambda wildcards: f"results/{wildcards.dataset}/{wildcards.model}/seed-{plan.seeds(wildcards.dataset)[0]}/{name}"
    )


def overview_settings(wildcards):
    return reports.overview(wildcards.dataset, wildcards.model)


def exported(wildcards, table):
    """MODEL:SEED -> file of one exported table, for each model in a report and each teacher."""
    dataset, model, seeds = wildcards.dataset, wildcards.model, plan.seeds(wildcards.dataset)
    paths = {name: f"results/{dataset}/{name}/seed-{{seed}}/{table}.parquet" for name in reports.exported(plan, model)}
    paths |= {name: about[table] for name, about in reports.elsewhere(plan, model).items() if table in about}
    return {f"{name}:{seed}": path.replace("{seed}", str(seed)) for name, path in paths.items() for seed in seeds}


# For unknown.smk.


@told
def unknown_result(wildcards):
    raise UserError(targets.result(wildcards.result, plan.models, plan.datasets))


@told
def unknown_download(wildcards):
    raise UserError(targets.download(wildcards.download, downloads.targets(config["downloads"])))


# For download.smk.


def downloaded(target):
    return lambda wildcards: downloads.settings(config["downloads"], target)
