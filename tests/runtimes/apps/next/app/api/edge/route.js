import { answer } from "../../score.js";

export const runtime = "edge";
export const GET = answer;
