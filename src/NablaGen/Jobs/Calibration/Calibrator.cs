using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Calibration;

/// <summary>
/// Finds a threshold for each layer and head. Some prompts are sampled with dense attention; in some of their steps each head is measured
/// at a grid of thresholds, and each layer's weight is how far the model's output moves when that layer alone is sparse. Then
/// <see cref="ThresholdAllocation"/> spends the density, and a run of the first prompt sees what density the thresholds have in use.
/// </summary>
/// <param name="pipeline">The model.</param>
public sealed class Calibrator(TextToVideo pipeline)
{
    /// <summary>Steps of each prompt that are measured unless told otherwise.</summary>
    public const int DefaultMeasuredSteps = 3;

    // A target density may be missed by this share of it in use before the thresholds are chosen again, at most so many times.
    private const double Tolerance = 0.02;
    private const int Corrections = 2;

    // A measured step beside a plain one, for the time that is left: the passes of the grid's attentions together.
    private const int GridPasses = 4;

    // Where layers are probed if the density is what is sought.
    private const double TypicalDensity = 0.3;

    private static readonly double[] Grid = [0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98];

    /// <summary>Calibrates.</summary>
    /// <param name="requests">What to measure on; their attention does not count.</param>
    /// <param name="target">What to meet.</param>
    /// <param name="measuredSteps">How many steps of each are measured, evenly spread.</param>
    /// <param name="progress">Is told how it goes.</param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <exception cref="InvalidRequestException">The target cannot be met, or there are fewer steps than are to be measured.</exception>
    /// <exception cref="NablaGenException">The model or a request is wrong.</exception>
    public CalibratedThresholds Run(
        IReadOnlyList<GenerationRequest> requests, CalibrationTarget target, int measuredSteps = DefaultMeasuredSteps, IGenerationProgress? progress = null,
        CancellationToken cancellation = default)
    {
        requests = [.. requests.Select(request => request with { Attention = AttentionExpression.Dense, DenseSteps = 0, DenseLayers = 0, MaskEvery = 1, MaskFromStep = null })];
        Check(requests, target, measuredSteps);
        var prepared = pipeline.Prepare(requests, progress, cancellation);
        try
        {
            return pipeline.UseTransformer(prepared, progress, (sampler, clock) => Run(sampler, prepared, target, measuredSteps, clock, cancellation));
        }
        finally
        {
            foreach (var one in prepared)
            {
                one.Dispose();
            }
        }
    }

    /// <summary>The steps of a run that are measured: the middles of equal parts of it.</summary>
    /// <param name="steps">Steps of the run.</param>
    /// <param name="measured">How many.</param>
    public static IReadOnlyList<int> MeasuredSteps(int steps, int measured) =>
        [.. Enumerable.Range(0, measured).Select(i => (int)((i + 0.5) * steps / measured))];

    private void Check(IReadOnlyList<GenerationRequest> requests, CalibrationTarget target, int measuredSteps)
    {
        target.Check();
        if (pipeline.Model.Transformer.Boundary is not null)
        {
            throw new NablaGenException($"the model '{pipeline.Model.Name}' has two transformers, and thresholds are measured on one: calibrate is not for it");
        }

        if (pipeline.Model.Transformer.LowRank > 0)
        {
            throw new NablaGenException($"the model '{pipeline.Model.Name}' has a low-rank branch and no thresholds (SparkDiffusion): calibrate is not for it");
        }

        foreach (var request in requests)
        {
            if (measuredSteps < 1 || measuredSteps > request.Steps)
            {
                throw new InvalidRequestException($"the number of measured steps must be from 1 to the run's {request.Steps}, found {measuredSteps}");
            }

            request.Check(pipeline.Model);
            var layout = pipeline.Model.Transformer.LayoutOf(request.LatentShape(pipeline.Model.Latents));
            if (target.Density <= 1.0 / layout.Blocks)
            {
                throw new InvalidRequestException($"the target density must be above {1.0 / layout.Blocks:0.000}, "
                    + $"one of {layout.Blocks} blocks a row at {request.Width}x{request.Height}x{request.Frames}, found {target.Density}");
            }
        }
    }

    private CalibratedThresholds Run(
        LatentSampler sampler, IReadOnlyList<PreparedRequest> prepared, CalibrationTarget target, int measuredSteps, StageClock clock,
        CancellationToken cancellation)
    {
        var transformer = sampler.Model.Traits;
        var measurements = Measure(sampler, prepared, target.Density ?? TypicalDensity, measuredSteps, clock, cancellation);
        var curves = measurements.Curves();
        if (target.Density < curves.Average(curve => curve.Hull[0].Density))
        {
            throw new InvalidRequestException(
                $"the target density must be at least {curves.Average(curve => curve.Hull[0].Density):0.000}, the least that NABLA keeps here, found {target.Density}");
        }

        var (allocation, thresholds, density) = Choose(sampler, prepared[0], curves, target, clock, cancellation);
        var global = ThresholdAllocation.Global(curves, allocation.Density);
        var (first, recipe) = (prepared[0].Request, prepared[0].Recipe);
        clock.Finish();
        return new CalibratedThresholds
        {
            Model = recipe.Model,
            ModelHash = recipe.ModelHash,
            Layers = transformer.Layers,
            Heads = transformer.Heads,
            Dim = transformer.Width,
            Target = target,
            Density = Rounded(allocation.Density),
            Error = Rounded(allocation.Error),
            DensityInUse = Rounded(density),
            GlobalThreshold = Rounded(global.Thresholds[0]),
            GlobalError = Rounded(global.Error),
            Curve = Curve(curves),
            LayerWeights = [.. measurements.LayerWeights().Select(Rounded)],
            Prompts = [.. prepared.Select(one => one.Request.Prompt)],
            Seeds = [.. prepared.Select(one => one.Request.Seed)],
            MeasuredSteps = MeasuredSteps(first.Steps, measuredSteps),
            Steps = first.Steps,
            Solver = first.Solver,
            Size = $"{first.Width}x{first.Height}x{first.Frames}",
            Guidance = first.Guidance,
            Device = recipe.Device,
            Version = recipe.Version,
            Thresholds = thresholds,
        };
    }

    // From the least that NABLA keeps to all.
    private static CalibrationPoint[] Curve(HeadCurve[] curves)
    {
        const int Points = 24;
        var least = curves.Average(curve => curve.Hull[0].Density);
        return [.. Enumerable.Range(0, Points).Select(i => least * Math.Pow(1 / least, i / (Points - 1.0)))
            .Select(density => new CalibrationPoint(
                Rounded(density), Rounded(ThresholdAllocation.ForDensity(curves, density).Error), Rounded(ThresholdAllocation.Global(curves, density).Error)))];
    }

    private Measurements Measure(
        LatentSampler sampler, IReadOnlyList<PreparedRequest> prepared, double density, int measuredSteps, StageClock clock, CancellationToken cancellation)
    {
        using var noGrad = no_grad();
        var (transformer, device) = (sampler.Model.Traits, sampler.Model.Options.Device);
        var measurements = new Measurements(transformer.Layers, transformer.Heads, Grid);
        using var attention = new MeasuringAttention(AttentionFactory.Backend(device), OutputGrams.Read(pipeline.Model.WithLoras(prepared[0].Request.Loras), device), Grid);
        clock.Start(GenerationStage.Measure, prepared.Sum(one => one.Request.Steps + measuredSteps * (GridPasses + transformer.Layers)));
        var done = 0;
        foreach (var one in prepared)
        {
            Measure(sampler, one, attention, measurements, density, MeasuredSteps(one.Request.Steps, measuredSteps), ops => clock.Done(done += ops, null), cancellation);
        }

        return measurements;
    }

    // A dense run of one prompt; in its measured steps first the grid, then a probe of each layer.
    private void Measure(
        LatentSampler sampler, PreparedRequest prepared, MeasuringAttention attention, Measurements measurements, double density, IReadOnlyList<int> steps,
        Action<int> done, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var (request, device, layers) = (prepared.Request, sampler.Model.Options.Device, sampler.Model.Traits.Layers);
        using var noise = LatentSampler.Noise(request.LatentShape(pipeline.Model.Latents), request.Seed);
        using var solver = Solvers.Create(request.Solver, request.Steps, request.Shift, request.Timesteps);
        var latents = noise.to(device).unsqueeze(0).Times(solver.NoiseScale);
        using var denoiser = new Denoiser(
            sampler.Model, latents.shape, attention, prepared.Conditioning, new DenoiserOptions(request.Guidance, KeepsPrompt: sampler.KeepsPrompt), cancellation: cancellation);
        // The last measured step is the last that is needed.
        for (var step = 0; step <= steps[^1]; step++)
        {
            using var stepScope = NewDisposeScope();
            var (before, at, timestep) = (latents, step, solver.Schedule.Timesteps[step]);
            Tensor Velocity() => denoiser.Velocity(before, timestep, at);
            attention.Measurement = steps.Contains(step) ? measurements.NewStep() : null;
            var velocity = Velocity();
            if (attention.Measurement is { } measured)
            {
                attention.Measurement = null;
                done(GridPasses);
                for (var layer = 0; layer < layers; layer++)
                {
                    using var probe = NewDisposeScope();
                    var threshold = measured.Nearest(layer, density);
                    attention.Sparse = (layer, Grid[threshold]);
                    var moved = Squared(Velocity() - velocity) / Squared(velocity);
                    var loss = measured.Loss(layer, threshold);
                    // Where nothing is lost there is nothing to weigh.
                    measured.Weights[layer] = loss > 0 ? moved / loss : 0;
                    done(1);
                }

                attention.Sparse = null;
            }

            latents = solver.Step(velocity, before).MoveToOuterDisposeScope();
            before.Dispose();
            NativeHeap.Collect();
            done(1);
        }

        done(request.Steps - steps[^1] - 1);
    }

    // The density of a sparse run is not quite that of a dense run's steps: so the thresholds are tried and, for a density, chosen again.
    private (Allocation, HeadThresholds, double Density) Choose(
        LatentSampler sampler, PreparedRequest prepared, HeadCurve[] curves, CalibrationTarget target, StageClock clock, CancellationToken cancellation)
    {
        var (layers, heads) = (sampler.Model.Traits.Layers, sampler.Model.Traits.Heads);
        var aim = target.Density ?? 0;
        for (var attempt = 0; ; attempt++)
        {
            var allocation = target.Error is { } error ? ThresholdAllocation.ForError(curves, error) : ThresholdAllocation.ForDensity(curves, aim);
            var thresholds = new HeadThresholds([.. Enumerable.Range(0, layers).Select(layer => allocation.Thresholds.Skip(layer * heads).Take(heads).ToArray())]);
            var density = Try(sampler, prepared, thresholds, clock, cancellation);
            if (target.Density is not { } wanted || Math.Abs(density - wanted) <= Tolerance * wanted || attempt == Corrections)
            {
                return (allocation, thresholds, density);
            }

            aim *= wanted / density;
        }
    }

    private double Try(LatentSampler sampler, PreparedRequest prepared, HeadThresholds thresholds, StageClock clock, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var request = prepared.Request with { Attention = AttentionExpression.Nabla(thresholds, "found") };
        clock.Start(GenerationStage.Sample, request.Steps);
        var meter = new DensityMeter();
        using var noise = LatentSampler.Noise(request.LatentShape(pipeline.Model.Latents), request.Seed);
        sampler.Sample(request.Sampling, noise, prepared.Conditioning, new SamplingProgress(meter, clock), cancellation: cancellation);
        return meter.Mean!.Value;
    }

    private static double Squared(Tensor x) => x.Squared().sum().item<float>();

    private static double Rounded(double value) => Math.Round(value, 6);
}
