import { answer } from "../../score.js";

export const dynamic = "force-dynamic";
export const GET = answer;
