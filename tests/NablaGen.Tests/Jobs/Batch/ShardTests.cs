using NablaGen.Jobs.Batch;

namespace NablaGen.Tests.Jobs.Batch;

public sealed class ShardTests
{
    [Fact]
    public void Every_row_is_of_one_shard()
    {
        var shards = Enumerable.Range(1, 4).Select(index => Shard.Parse($"{index}/4")).ToList();
        Assert.All(Enumerable.Range(1, 50), row => Assert.Single(shards, shard => shard.Has(row)));
        Assert.Equal([2, 6, 10], Enumerable.Range(1, 12).Where(shards[1].Has));
    }

    [Theory]
    [InlineData("")]
    [InlineData("2")]
    [InlineData("0/4")]
    [InlineData("5/4")]
    [InlineData("1/0")]
    [InlineData("-1/4")]
    [InlineData("1/2/3")]
    public void A_bad_shard_is_refused(string text) => Assert.Throws<InvalidRequestException>(() => Shard.Parse(text));

    [Theory]
    [InlineData("1/1", "")]
    [InlineData("4/8", "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=8 SLURM_ARRAY_TASK_MIN=0")]
    [InlineData("3/8", "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=8 SLURM_ARRAY_TASK_MIN=1")]
    [InlineData("3/4", "SLURM_ARRAY_TASK_ID=14 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_STEP=2")]
    [InlineData("1/5", "JOB_COMPLETION_INDEX=0 NABLAGEN_SHARD_COUNT=5")]
    [InlineData("5/5", "JOB_COMPLETION_INDEX=4 JOB_COMPLETIONS=5")]
    public void A_cluster_says_which_shard_it_is(string expected, string variables) => Assert.Equal(expected, $"{FromEnvironment(variables)}");

    [Theory]
    [InlineData("SLURM_ARRAY_TASK_ID=3", "SLURM_ARRAY_TASK_COUNT is not")]
    [InlineData("SLURM_ARRAY_TASK_ID=9 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1", "outside the 3 shards")]
    [InlineData("SLURM_ARRAY_TASK_ID=x SLURM_ARRAY_TASK_COUNT=3", "SLURM_ARRAY_TASK_ID: expected a whole number")]
    [InlineData("JOB_COMPLETION_INDEX=0", "set NABLAGEN_SHARD_COUNT")]
    [InlineData("JOB_COMPLETION_INDEX=5 NABLAGEN_SHARD_COUNT=5", "outside the 5 shards")]
    public void What_does_not_fit_together_is_refused(string variables, string expected) =>
        Assert.Contains(expected, Assert.Throws<InvalidRequestException>(() => FromEnvironment(variables)).Message);

    private static Shard FromEnvironment(string variables)
    {
        var values = variables.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        return Shard.FromEnvironment(values.GetValueOrDefault);
    }
}
