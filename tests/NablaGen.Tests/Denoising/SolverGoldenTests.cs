using NablaGen.Denoising;
using static TorchSharp.torch;

namespace NablaGen.Tests.Denoising;

public class SolverGoldenTests
{
    public static TheoryData<string> Cases()
    {
        using var golden = Golden.Open("solvers");
        return new TheoryData<string>(golden.List("cases"));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Trajectory_equals_the_reference(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("solvers");
        Assert.Equal("sin(1.3 x) * (0.5 + t/1000) - 0.2 x", golden.Metadata("velocity"));
        var parts = name.Split('.');
        using var solver = Solvers.Create(parts[0], int.Parse(parts[1]), double.Parse(string.Join('.', parts[2..])));

        var timesteps = golden[name + ".timesteps"];
        var sigmas = golden[name + ".sigmas"];
        var trajectory = golden[name + ".trajectory"];
        Assert.Equal(timesteps.shape[0], solver.Schedule.Steps);
        Assert.Equal(timesteps.data<float>().Select(t => (double)t), solver.Schedule.Timesteps);
        Golden.AssertClose(tensor(solver.Schedule.Sigmas.ToArray()), sigmas, 1e-5);

        var x = golden["x"];
        for (var step = 0; step < solver.Schedule.Steps; step++)
        {
            var velocity = sin(x * 1.3) * (0.5 + solver.Schedule.Timesteps[step] / 1000.0) - x * 0.2;
            x = solver.Step(velocity, x);
            Golden.AssertClose(x.reshape(trajectory[step].shape), trajectory[step], 1e-5);
        }
    }
}
